// Package prometheus shows the counts of [interceptors.Metrics] in the text format of
// Prometheus, under the names that the OTel GenAI semantic conventions have there.
//
// The format is a few lines of text for each series, so it is written here. An exporter
// from OpenTelemetry's module to Prometheus's would link two SDKs and protocol buffers, and
// keep each number twice.
package prometheus

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/internal/genaiattr"
	"github.com/llmproxy/llmproxy/interceptors"
)

// ContentType is that of the text format, version 0.0.4.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Handler serves the counts of m, as for /metrics. It answers GET and HEAD.
func Handler(m *interceptors.Metrics) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		var b bytes.Buffer
		_ = Write(&b, m.Snapshot()) // a buffer takes everything
		w.Header().Set("Content-Type", ContentType)
		w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
		if r.Method == http.MethodGet {
			_, _ = b.WriteTo(w)
		}
	})
}

// Write writes s to w. The error is w's.
func Write(w io.Writer, s interceptors.MetricsSnapshot) error {
	var b bytes.Buffer
	for _, family := range families {
		begun := false
		for i := range s {
			for _, sample := range family.samples(&s[i]) {
				if sample.none() {
					continue
				}
				if !begun {
					begun = true
					family.head(&b)
				}
				family.write(&b, labelsOf(&s[i], sample.token), &sample)
			}
		}
	}
	_, err := b.WriteTo(w)
	return err
}

// family is a metric with all its series.
type family struct {
	name, help string
	nanos      bool // histograms are in nanoseconds, and shown in seconds
	histogram  bool
	samples    func(s *interceptors.MetricSeries) []sample
}

// sample is one value of a family: a histogram, or the text of a number.
type sample struct {
	token     string // the type of the tokens it counts; "" elsewhere
	histogram *interceptors.Histogram
	number    string // "" is none
}

func (s *sample) none() bool {
	return s.number == "" && (s.histogram == nil || s.histogram.Count() == 0)
}

// families are all metrics, in the order of their names.
var families = [...]family{
	{
		name: named(genaiattr.TokenUsage), help: genaiattr.TokenUsage.Description, histogram: true,
		samples: func(s *interceptors.MetricSeries) []sample {
			return []sample{{token: genaiattr.TokenInput, histogram: &s.InputTokens}, {token: genaiattr.TokenOutput, histogram: &s.OutputTokens}}
		},
	},
	{
		name: named(genaiattr.Duration), help: genaiattr.Duration.Description, histogram: true, nanos: true,
		samples: func(s *interceptors.MetricSeries) []sample { return []sample{{histogram: &s.Duration}} },
	},
	{
		name: named(genaiattr.PerToken), help: genaiattr.PerToken.Description, histogram: true, nanos: true,
		samples: func(s *interceptors.MetricSeries) []sample { return []sample{{histogram: &s.TimePerOutputToken}} },
	},
	{
		name: named(genaiattr.FirstToken), help: genaiattr.FirstToken.Description, histogram: true, nanos: true,
		samples: func(s *interceptors.MetricSeries) []sample { return []sample{{histogram: &s.TimeToFirstToken}} },
	},
	{
		name: "llmproxy_cost_usd_total", help: "Cost of exchanges whose price is known.",
		samples: func(s *interceptors.MetricSeries) []sample { return []sample{{number: dollars(s.Cost)}} },
	},
	{
		name: "llmproxy_tokens_total", help: "Tokens; cache_read and cache_write are parts of input, reasoning is one of output.",
		samples: func(s *interceptors.MetricSeries) []sample {
			return []sample{
				{token: genaiattr.TokenInput, number: count(s.InputTokens.Sum)},
				{token: genaiattr.TokenOutput, number: count(s.OutputTokens.Sum)},
				{token: genaiattr.TokenCacheRead, number: count(s.CacheRead)},
				{token: genaiattr.TokenCacheWrite, number: count(s.CacheWrite)},
				{token: genaiattr.TokenReasoning, number: count(s.Reasoning)},
			}
		},
	},
	{
		name: "llmproxy_unpriced_exchanges_total", help: "Exchanges that consumed something without a known price.",
		samples: func(s *interceptors.MetricSeries) []sample { return []sample{{number: count(s.Unpriced)}} },
	},
}

// named is the name of an instrument here: with its unit, unless that is a thing.
func named(i genaiattr.Instrument) string {
	name := strings.ReplaceAll(i.Name, ".", "_")
	if i.Unit == "s" {
		name += "_seconds"
	}
	return name
}

// dollars writes u exactly; "" for nothing.
func dollars(u llmproxy.USD) string {
	if u == 0 {
		return ""
	}
	return u.String()
}

// count writes n; "" for nothing.
func count(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func (f *family) head(b *bytes.Buffer) {
	kind := "counter"
	if f.histogram {
		kind = "histogram"
	}
	b.WriteString("# HELP " + f.name + " " + f.help + "\n# TYPE " + f.name + " " + kind + "\n")
}

func (f *family) write(b *bytes.Buffer, labels string, s *sample) {
	line := func(suffix, more, value string) {
		b.WriteString(f.name + suffix + "{" + labels + more + "} " + value + "\n")
	}
	if s.histogram == nil {
		line("", "", s.number)
		return
	}
	total := int64(0)
	for i, n := range s.histogram.Counts {
		total += n
		bound := "+Inf"
		if i < len(s.histogram.Bounds) {
			bound = f.value(s.histogram.Bounds[i])
		}
		line("_bucket", `,le="`+bound+`"`, strconv.FormatInt(total, 10))
	}
	line("_sum", "", f.value(s.histogram.Sum))
	line("_count", "", strconv.FormatInt(total, 10))
}

// value writes n, in seconds where it is a time.
func (f *family) value(n int64) string {
	if !f.nanos {
		return strconv.FormatInt(n, 10)
	}
	return strconv.FormatFloat(float64(n)/math.Pow10(9), 'g', -1, 64)
}

// labelsOf returns the labels of a sample, without brackets. It always has some.
func labelsOf(s *interceptors.MetricSeries, token string) string {
	var b strings.Builder
	for _, l := range [...]struct{ name, value string }{
		{genaiattr.OperationName, s.Operation},
		{genaiattr.ProviderName, s.Provider},
		{genaiattr.RequestModel, s.Model},
		{genaiattr.ErrorType, s.Error},
		{genaiattr.TokenType, token},
	} {
		if l.value == "" {
			continue // an empty label is none
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strings.ReplaceAll(l.name, ".", "_"))
		b.WriteString(`="`)
		b.WriteString(escaper.Replace(strings.ToValidUTF8(l.value, "\uFFFD")))
		b.WriteByte('"')
	}
	return b.String()
}

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
