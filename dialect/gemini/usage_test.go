package gemini_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/gemini"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, usage  string
		want         llmproxy.Usage
		inconsistent bool
	}{
		{
			"thoughts beside the candidates, tools beside the prompt",
			`{"promptTokenCount":26,"candidatesTokenCount":60,"toolUsePromptTokenCount":12504,"thoughtsTokenCount":43,"totalTokenCount":12633}`,
			llmproxy.Usage{PromptTokens: 12530, InputTool: 12504, CompletionTokens: 103, Reasoning: 43},
			false,
		},
		{
			"thoughts inside, with tools",
			`{"promptTokenCount":100,"toolUsePromptTokenCount":40,"candidatesTokenCount":260,"thoughtsTokenCount":200,"totalTokenCount":400}`,
			llmproxy.Usage{PromptTokens: 140, InputTool: 40, CompletionTokens: 260, Reasoning: 200},
			false,
		},
		{
			"thoughts alone",
			`{"promptTokenCount":15,"thoughtsTokenCount":2,"totalTokenCount":17}`,
			llmproxy.Usage{PromptTokens: 15, CompletionTokens: 2, Reasoning: 2},
			false,
		},
		{
			"no total: beside",
			`{"promptTokenCount":100,"candidatesTokenCount":260,"thoughtsTokenCount":200}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 460, Reasoning: 200},
			false,
		},
		{
			"a total that fits nothing",
			`{"promptTokenCount":100,"candidatesTokenCount":10,"thoughtsTokenCount":20,"totalTokenCount":131}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 30, Reasoning: 20},
			true,
		},
		{
			"more thoughts than candidates they could be inside of",
			`{"promptTokenCount":100,"candidatesTokenCount":50,"thoughtsTokenCount":200,"totalTokenCount":150}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 250, Reasoning: 200},
			true,
		},
		{"a total only", `{"totalTokenCount":9}`, llmproxy.Usage{PromptTokens: 9}, false},
		{"a prompt of zero is left out", `{"candidatesTokenCount":4,"totalTokenCount":4}`, llmproxy.Usage{CompletionTokens: 4}, false},
		{
			"modalities, and a list that is short",
			`{"promptTokenCount":100,"promptTokensDetails":[{"modality":"TEXT","tokenCount":10},{"modality":"AUDIO","tokenCount":20},{"modality":"VIDEO","tokenCount":30},{"modality":"IMAGE","tokenCount":5}],"totalTokenCount":100}`,
			llmproxy.Usage{PromptTokens: 100, InputAudio: 20, InputVideo: 30, InputImage: 5},
			false,
		},
		{
			"pages are images, and a modality may be listed twice",
			`{"promptTokenCount":100,"promptTokensDetails":[{"modality":"DOCUMENT","tokenCount":20},{"modality":"IMAGE","tokenCount":5},{"modality":"IMAGE","tokenCount":6}],"totalTokenCount":100}`,
			llmproxy.Usage{PromptTokens: 100, InputImage: 31},
			false,
		},
		{
			"modalities nobody knows, and entries without a count, are text",
			`{"promptTokenCount":100,"promptTokensDetails":[{"modality":"SMELL","tokenCount":20},{"modality":"AUDIO"},{"tokenCount":3},null,7],"totalTokenCount":100}`,
			llmproxy.Usage{PromptTokens: 100},
			false,
		},
		{
			"a list that exceeds the prompt",
			`{"promptTokenCount":100,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":101}],"cachedContentTokenCount":10,"totalTokenCount":100}`,
			llmproxy.Usage{PromptTokens: 100, CacheRead: 10},
			true,
		},
		{
			"a cache without a list holds text first, then audio, images and video",
			`{"promptTokenCount":100,"cachedContentTokenCount":75,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":20},{"modality":"IMAGE","tokenCount":30},{"modality":"VIDEO","tokenCount":40}],"totalTokenCount":100}`,
			llmproxy.Usage{PromptTokens: 100, CacheRead: 10 + 15, CacheReadAudio: 20, CacheReadImage: 30, InputVideo: 25},
			false,
		},
		{
			"a cache with a list",
			`{"promptTokenCount":100,"cachedContentTokenCount":50,"cacheTokensDetails":[{"modality":"VIDEO","tokenCount":10},{"modality":"DOCUMENT","tokenCount":15}],"promptTokensDetails":[{"modality":"VIDEO","tokenCount":40},{"modality":"DOCUMENT","tokenCount":20}],"totalTokenCount":100}`,
			llmproxy.Usage{PromptTokens: 100, CacheRead: 35, CacheReadImage: 15, InputVideo: 30, InputImage: 5},
			false,
		},
		{
			"a cache with a list, a prompt without",
			`{"promptTokenCount":100,"cachedContentTokenCount":50,"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":10}],"totalTokenCount":100}`,
			llmproxy.Usage{PromptTokens: 100, CacheRead: 40, CacheReadAudio: 10},
			false,
		},
		{
			"more cached audio than audio",
			`{"promptTokenCount":100,"cachedContentTokenCount":50,"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":10}],"promptTokensDetails":[{"modality":"AUDIO","tokenCount":9}],"totalTokenCount":100}`,
			llmproxy.Usage{PromptTokens: 100, CacheRead: 50},
			true,
		},
		{
			"more in the cache's list than in the cache",
			`{"promptTokenCount":100,"cachedContentTokenCount":5,"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":10}],"totalTokenCount":100}`,
			llmproxy.Usage{PromptTokens: 100, CacheRead: 5},
			true,
		},
		{
			"the lists leave the cache no room",
			`{"promptTokenCount":100,"cachedContentTokenCount":50,"cacheTokensDetails":[{"modality":"TEXT","tokenCount":50}],"promptTokensDetails":[{"modality":"VIDEO","tokenCount":60}],"totalTokenCount":100}`,
			llmproxy.Usage{PromptTokens: 100, CacheRead: 50},
			true,
		},
		{
			"more cached than asked",
			`{"promptTokenCount":100,"cachedContentTokenCount":101,"totalTokenCount":100}`,
			llmproxy.Usage{PromptTokens: 100, CacheRead: 101},
			true,
		},
		{
			"images and sounds out",
			`{"promptTokenCount":1,"candidatesTokenCount":100,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":60},{"modality":"AUDIO","tokenCount":30}],"thoughtsTokenCount":5,"totalTokenCount":106}`,
			llmproxy.Usage{PromptTokens: 1, CompletionTokens: 105, Reasoning: 5, OutputImage: 60, OutputAudio: 30},
			false,
		},
		{
			"more images out than there is room for beside the thoughts",
			`{"promptTokenCount":1,"candidatesTokenCount":100,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":60}],"thoughtsTokenCount":50,"totalTokenCount":101}`,
			llmproxy.Usage{PromptTokens: 1, CompletionTokens: 100, Reasoning: 50},
			true,
		},
		{
			"what is no count counts nothing",
			`{"promptTokenCount":7,"candidatesTokenCount":-1,"thoughtsTokenCount":1.5,"toolUsePromptTokenCount":"9","cachedContentTokenCount":null,"totalTokenCount":7e0}`,
			llmproxy.Usage{PromptTokens: 7},
			true,
		},
		{"an explicit zero is a report", `{"totalTokenCount":0}`, llmproxy.Usage{}, false},
	} {
		m, _ := dialecttest.Read(t, gemini.New, `{"usageMetadata":`+tt.usage+`}`)
		if diff := cmp.Diff(tt.want, m.Usage); diff != "" || !m.UsageReported || m.Inconsistent != tt.inconsistent {
			t.Errorf("%s: reported = %v, inconsistent = %v, want %v; want - got +:\n%s",
				tt.name, m.UsageReported, m.Inconsistent, tt.inconsistent, diff)
		}
	}
}

func TestNoReport(t *testing.T) {
	t.Parallel()
	for _, usage := range []string{`{}`, `null`, `{"trafficType":"ON_DEMAND"}`, `{"cachedContentTokenCount":5}`, `{"promptTokenCount":"7"}`, `[]`} {
		m, _ := dialecttest.Read(t, gemini.New, `{"usageMetadata":`+usage+`}`)
		if m.UsageReported || m.Inconsistent || m.Usage != (llmproxy.Usage{}) {
			t.Errorf("%s: got %+v", usage, m)
		}
	}
}

// Reports of a stream replace each other.
func TestCumulative(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		usages []string
		want   llmproxy.Usage
	}{
		{
			"the prompt may shrink",
			[]string{`{"promptTokenCount":169,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":100}],"totalTokenCount":169}`, `{"promptTokenCount":79,"candidatesTokenCount":12,"totalTokenCount":91}`},
			llmproxy.Usage{PromptTokens: 79, CompletionTokens: 12},
		},
		{
			"what a report that adds up leaves out stays",
			[]string{`{"promptTokenCount":900,"cachedContentTokenCount":500,"candidatesTokenCount":20,"totalTokenCount":920}`, `{"promptTokenCount":900,"candidatesTokenCount":30,"totalTokenCount":930}`},
			llmproxy.Usage{PromptTokens: 900, CacheRead: 500, CompletionTokens: 30},
		},
		{
			"what it says replaces, a zero too",
			[]string{`{"promptTokenCount":900,"cachedContentTokenCount":500,"candidatesTokenCount":20,"totalTokenCount":920}`, `{"promptTokenCount":900,"cachedContentTokenCount":0,"candidatesTokenCount":0,"totalTokenCount":900}`},
			llmproxy.Usage{PromptTokens: 900},
		},
		{
			"zeros throughout replace nothing",
			[]string{
				`{"promptTokenCount":900,"cachedContentTokenCount":500,"candidatesTokenCount":20,"totalTokenCount":920}`,
				`{"promptTokenCount":0,"candidatesTokenCount":0,"totalTokenCount":0}`, `{"promptTokenCount":0,"candidatesTokenCount":0}`, `{"totalTokenCount":0}`,
			},
			llmproxy.Usage{PromptTokens: 900, CacheRead: 500, CompletionTokens: 20},
		},
		{
			"counts replace zeros",
			[]string{`{"promptTokenCount":0,"totalTokenCount":0}`, `{"promptTokenCount":9,"candidatesTokenCount":2,"totalTokenCount":11}`},
			llmproxy.Usage{PromptTokens: 9, CompletionTokens: 2},
		},
		{
			"thoughts that a later total has inside",
			[]string{`{"promptTokenCount":10,"candidatesTokenCount":4,"thoughtsTokenCount":3,"totalTokenCount":17}`, `{"promptTokenCount":10,"candidatesTokenCount":8,"totalTokenCount":18}`},
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 8, Reasoning: 3},
		},
		{
			"one that does not is completed",
			[]string{
				`{"promptTokenCount":10,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":6}],"toolUsePromptTokenCount":2,"thoughtsTokenCount":3,"totalTokenCount":15}`,
				`{"candidatesTokenCount":8,"totalTokenCount":23}`,
			},
			llmproxy.Usage{PromptTokens: 12, InputAudio: 6, InputTool: 2, CompletionTokens: 11, Reasoning: 3},
		},
		{
			"one without a total is completed, and details hold for a count that grows",
			[]string{
				`{"promptTokenCount":10,"cachedContentTokenCount":4,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":6}],"totalTokenCount":10}`,
				`{"promptTokenCount":12,"candidatesTokenCount":8}`,
			},
			llmproxy.Usage{PromptTokens: 12, CacheRead: 4, InputAudio: 6, CompletionTokens: 8},
		},
		{
			"details of a count that shrinks do not",
			[]string{
				`{"promptTokenCount":10,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":6}],"totalTokenCount":10}`,
				`{"promptTokenCount":9,"candidatesTokenCount":8,"totalTokenCount":17}`,
			},
			llmproxy.Usage{PromptTokens: 9, CompletionTokens: 8},
		},
		{
			"an object without counts changes nothing",
			[]string{`{"promptTokenCount":10,"totalTokenCount":10}`, `{"trafficType":"ON_DEMAND"}`, `{}`},
			llmproxy.Usage{PromptTokens: 10},
		},
	} {
		var chunks []string
		for _, usage := range tt.usages {
			chunks = append(chunks, `{"usageMetadata":`+usage+`}`)
		}
		m, _ := dialecttest.Read(t, gemini.New, sse(chunks...))
		if diff := cmp.Diff(tt.want, m.Usage); diff != "" || m.Inconsistent {
			t.Errorf("%s: inconsistent = %v, want - got +:\n%s", tt.name, m.Inconsistent, diff)
		}
	}
}

// Candidates that the last report leaves out stay, against its total.
func TestCandidatesStay(t *testing.T) {
	t.Parallel()
	m, _ := dialecttest.Read(t, gemini.New, sse(
		`{"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":20,"totalTokenCount":30}}`,
		`{"usageMetadata":{"promptTokenCount":10,"totalTokenCount":10}}`,
	))
	if want := (llmproxy.Usage{PromptTokens: 10, CompletionTokens: 20}); m.Usage != want || !m.Inconsistent {
		t.Errorf("inconsistent = %v, usage %+v, want %+v", m.Inconsistent, m.Usage, want)
	}
}

// Zeros throughout are a report where there is no output.
func TestZeros(t *testing.T) {
	t.Parallel()
	const zeros = `"usageMetadata":{"promptTokenCount":0,"candidatesTokenCount":0,"totalTokenCount":0}`
	parts := func(parts string) string {
		return `{"candidates":[{"content":{"parts":[` + parts + `],"role":"model"},"index":0}],` + zeros + `}`
	}
	for _, tt := range []struct {
		name, answer string
		reported     bool
	}{
		{"a text", parts(`{"text":"hi"}`), false},
		{"a thought", parts(`{"text":"hm","thought":true}`), false},
		{"the call of a tool", parts(`{"functionCall":{"name":"f","args":{}}}`), false},
		{"a text, then zeros", sse(`{"candidates":[{"content":{"parts":[{"text":"hi"}]}}]}`, `{`+zeros+`}`), false},
		{"a vector", `{"embedding":{"values":[0.1]},"usageMetadata":{"promptTokenCount":0}}`, false},
		{"an empty text", parts(`{"text":"","thoughtSignature":"QUJD"}`), true},
		{"no parts", parts(``), true},
		{"no candidates", `{` + zeros + `}`, true},
		{"a zero in one counter", parts(`{"text":"hi"}`)[:len(parts(`{"text":"hi"}`))-len(`"totalTokenCount":0}}`)] + `"totalTokenCount":3}}`, true},
	} {
		if m, _ := dialecttest.Read(t, gemini.New, tt.answer); m.UsageReported != tt.reported {
			t.Errorf("%s: reported = %v, want %v", tt.name, m.UsageReported, tt.reported)
		}
	}
}

// A number that is no count contradicts the report it is in, wherever it is.
func TestMiscounts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		usages       []string
		inconsistent bool
	}{
		{[]string{`{"promptTokenCount":7,"cachedContentTokenCount":-1}`}, true},
		{[]string{`{"promptTokenCount":7,"promptTokensDetails":[{"modality":"TEXT","tokenCount":0.5}]}`}, true},
		{[]string{`{"promptTokenCount":7,"candidatesTokenCount":1.5}`, `{"promptTokenCount":7,"candidatesTokenCount":2}`}, false},
		{[]string{`{"promptTokenCount":7,"candidatesTokenCount":2}`, `{"promptTokenCount":7,"candidatesTokenCount":-2}`}, true},
		{[]string{`{"promptTokenCount":7,"totalTokenCount":-2}`, `{"promptTokenCount":7}`}, false},
	} {
		var chunks []string
		for _, usage := range tt.usages {
			chunks = append(chunks, `{"usageMetadata":`+usage+`}`)
		}
		m, _ := dialecttest.Read(t, gemini.New, sse(chunks...))
		if m.Usage.PromptTokens != 7 || m.Inconsistent != tt.inconsistent {
			t.Errorf("%s: %+v, inconsistent = %v, want %v", tt.usages, m.Usage, m.Inconsistent, tt.inconsistent)
		}
	}
}

// examples are those of the accounting notes that are Gemini's.
var examples = map[string]bool{
	"gemini-1": true, "gemini-stream-last-wins": true, "gemini-inclusive-candidates": true,
	"vertex-audio": true, "gemini-image-out": true,
}

func TestWorkedExamples(t *testing.T) {
	t.Parallel()
	notes, err := os.ReadFile("../../../shared/protocols/usage-accounting.md")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no accounting notes beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	missing := maps.Clone(examples)
	for line := range strings.Lines(string(notes)) {
		var e struct {
			ID              string
			Raw             json.RawMessage
			Want            map[string]int64
			PromptTotal     int64 `json:"prompt_total"`
			CompletionTotal int64 `json:"completion_total"`
		}
		if !strings.HasPrefix(line, `{"id":`) {
			continue
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if !examples[e.ID] {
			continue // of another API
		}
		delete(missing, e.ID)
		answers := []string{`{"usageMetadata":` + string(e.Raw) + `}`, sse(`{"usageMetadata":` + string(e.Raw) + `}`)}
		if e.Raw[0] == '[' {
			var chunks []json.RawMessage
			if err := json.Unmarshal(e.Raw, &chunks); err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, c := range chunks {
				texts = append(texts, string(c))
			}
			answers = []string{sse(texts...), string(e.Raw)}
		}
		for _, a := range answers {
			m, _ := dialecttest.Read(t, gemini.New, a)
			if !m.UsageReported || m.Inconsistent {
				t.Errorf("%s: reported = %v, inconsistent = %v", e.ID, m.UsageReported, m.Inconsistent)
			}
			if m.Usage.PromptTokens != e.PromptTotal || m.Usage.CompletionTokens != e.CompletionTotal {
				t.Errorf("%s: totals %d and %d, want %d and %d", e.ID,
					m.Usage.PromptTokens, m.Usage.CompletionTokens, e.PromptTotal, e.CompletionTotal)
			}
			notZero := func(_ string, n int64) bool { return n == 0 }
			maps.DeleteFunc(e.Want, notZero)
			got := buckets(m.Usage)
			maps.DeleteFunc(got, notZero)
			if diff := cmp.Diff(e.Want, got); diff != "" {
				t.Errorf("%s: want - got +:\n%s", e.ID, diff)
			}
		}
	}
	for id := range missing {
		t.Errorf("%s is not in the notes", id)
	}
}

// buckets names the disjoint parts of u as the notes do.
func buckets(u llmproxy.Usage) map[string]int64 {
	return map[string]int64{
		"input": u.Input(), "input_audio": u.InputAudio, "input_image": u.InputImage,
		"input_video": u.InputVideo, "input_tool": u.InputTool,
		"cache_read": u.CacheRead, "cache_read_audio": u.CacheReadAudio, "cache_read_image": u.CacheReadImage,
		"output_text": u.Output(), "reasoning": u.Reasoning,
		"output_audio": u.OutputAudio, "output_image": u.OutputImage,
	}
}
