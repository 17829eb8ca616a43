package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
)

// ModelConfig is a name that clients use for a model, and where that is served.
type ModelConfig struct {
	Name string `yaml:"-" key:"true"`
	// Targets are PROVIDER/MODEL, each asked when those before it fail; with Weights, each
	// gets its share first.
	Targets []string `yaml:"targets"`
	Weights []Count  `yaml:"weights"`

	routes []llmproxy.Route // of the targets, once they have been built
}

// RetryConfig says how often a provider is asked again.
type RetryConfig struct {
	Attempts Count    `yaml:"attempts"` // the first included
	Within   Duration `yaml:"within"`
	MaxWait  Duration `yaml:"max_wait"` // of what a provider asks for
}

// InterceptorConfig is one entry of the chain: exactly one of its fields is set.
type InterceptorConfig struct {
	PromptCaching *PromptCachingConfig `yaml:"prompt_caching"`
	HeaderBan     *HeaderBanConfig     `yaml:"header_ban"`
	AddHeader     *AddHeaderConfig     `yaml:"add_header"`
	Limits        *LimitsConfig        `yaml:"limits"`
	Redaction     *RedactionConfig     `yaml:"redaction"`
	Logging       *LoggingConfig       `yaml:"logging"`
	Tracing       *TracingConfig       `yaml:"tracing"`
}

// LoggingConfig says at which levels exchanges are logged, besides the usage record that
// each leaves in the log.
type LoggingConfig struct {
	Start slog.Level `yaml:"start"` // the line when it begins
	End   slog.Level `yaml:"end"`   // the line when it has ended
}

// TracingConfig continues the client's trace to the provider.
type TracingConfig struct {
	ResponseHeader string `yaml:"response_header"` // the field in which the client gets the trace's id; default: X-Request-Id
}

// RedactionConfig masks words in what clients send, and in answers if it says so.
type RedactionConfig struct {
	Words   []string `yaml:"words" secret:"true"`
	Mask    string   `yaml:"mask"` // default: [redacted]
	Answers bool     `yaml:"answers"`
}

// PromptCachingConfig says whose prompts are cached, and how: each field names a kind of
// provider.
type PromptCachingConfig struct {
	Anthropic *CachingConfig `yaml:"anthropic"`
	Bedrock   *CachingConfig `yaml:"bedrock"`
	OpenAI    *CachingConfig `yaml:"openai"`
	XAI       *CachingConfig `yaml:"xai"`
	Fireworks *CachingConfig `yaml:"fireworks"`
}

// CachingConfig is how prompts are cached at one kind of provider.
type CachingConfig struct {
	Providers []string `yaml:"providers"` // by name; default: those of the kind
	Models    []string `yaml:"models"`    // patterns; default: all that can
	TTL       TTL      `yaml:"ttl"`
	Key       string   `yaml:"key"` // of all these exchanges; default: one for each conversation
}

// TTL is how long a cached prompt lives.
type TTL string

// UnmarshalText accepts default, 5m, 1h and 24h.
func (t *TTL) UnmarshalText(text []byte) error {
	return oneOf((*string)(t), text, "default", "5m", "1h", "24h")
}

// long reports whether it is the longer of a provider's two.
func (t TTL) long() bool { return t == "1h" || t == "24h" }

// HeaderBanConfig names fields that do not pass.
type HeaderBanConfig struct {
	Request  []string `yaml:"request"`
	Response []string `yaml:"response"`
}

// AddHeaderConfig has fields that are set.
type AddHeaderConfig struct {
	Request  map[string]string `yaml:"request" secret:"true"`
	Response map[string]string `yaml:"response"`
}

// LimitsConfig bounds what goes through.
type LimitsConfig struct {
	Per        LimitsPer `yaml:"per"`
	RPM        Count     `yaml:"rpm"`
	TPM        Count     `yaml:"tpm"`
	Concurrent Count     `yaml:"concurrent"`
}

// LimitsPer says what has a quota: gateway, key, model, or tag:NAME.
type LimitsPer string

// UnmarshalText accepts the four.
func (p *LimitsPer) UnmarshalText(text []byte) error {
	s := string(text)
	name, tag := strings.CutPrefix(s, "tag:")
	if !tag || name == "" {
		return oneOf((*string)(p), text, "gateway", "key", "model", "tag:NAME")
	}
	*p = LimitsPer(s)
	return nil
}

// validateModels notes what is wrong with the aliases.
func (c *Config) validateModels(d *decoder) {
	for _, m := range c.Models {
		at := "models." + m.Name
		if len(m.Targets) == 0 && !d.faultyBelow(at) {
			d.fault(at, d.keys[at], "%s: no targets: write targets: [PROVIDER/MODEL]", at)
		}
		if len(m.Weights) > 0 && len(m.Weights) != len(m.Targets) {
			d.fault(at+".weights", d.at(at+".weights"), "%s.weights: there are %d targets and %d weights", at, len(m.Targets), len(m.Weights))
		}
		for i, target := range m.Targets {
			path := fmt.Sprintf("%s.targets[%d]", at, i)
			provider, model, ok := strings.Cut(target, "/")
			switch {
			case !ok || model == "":
				d.fault(path, d.at(path), "%s: a target is PROVIDER/MODEL, such as openai/gpt-5-mini", path)
			case c.typeOf(provider) == provider && !c.has(provider):
				d.fault(path, d.at(path), "%s: no provider is named %q%s", path, shown(d, path, provider), suggest(provider, c.providerNames()))
			}
		}
	}
	for i, ic := range c.Interceptors {
		at := fmt.Sprintf("interceptors[%d]", i)
		if n := ic.set(); n != 1 && !d.faultyBelow(at) {
			d.fault(at, d.at(at), "%s: want exactly one of prompt_caching, header_ban, add_header, limits, redaction, logging and tracing in an entry", at)
		}
		c.validateInterceptor(d, at, ic)
	}
}

// validateInterceptor notes what would do nothing.
func (c *Config) validateInterceptor(d *decoder, at string, ic InterceptorConfig) {
	if l := ic.Limits; l != nil && l.RPM == 0 && l.TPM == 0 && l.Concurrent == 0 {
		d.fault(at+".limits", d.at(at+".limits"), "%s.limits: limits nothing: write rpm, tpm or concurrent", at)
	}
	if h := ic.HeaderBan; h != nil && len(h.Request)+len(h.Response) == 0 {
		d.fault(at+".header_ban", d.at(at+".header_ban"), "%s.header_ban: bans nothing: write request: [NAME] or response: [NAME]", at)
	}
	if h := ic.AddHeader; h != nil && len(h.Request)+len(h.Response) == 0 {
		d.fault(at+".add_header", d.at(at+".add_header"), "%s.add_header: adds nothing: write request: {NAME: VALUE} or response: {NAME: VALUE}", at)
	}
	if r := ic.Redaction; r != nil && len(r.Words) == 0 {
		d.fault(at+".redaction", d.at(at+".redaction"), "%s.redaction: masks nothing: write words: [WORD]", at)
	}
	if p := ic.PromptCaching; p != nil {
		for name, kind := range map[string]*CachingConfig{"anthropic": p.Anthropic, "bedrock": p.Bedrock, "openai": p.OpenAI, "xai": p.XAI, "fireworks": p.Fireworks} {
			if kind == nil {
				continue
			}
			path := at + ".prompt_caching." + name
			for _, provider := range kind.Providers {
				if !c.has(provider) {
					d.fault(path, d.at(path), "%s: no provider is named %q%s", path, provider, suggest(provider, c.providerNames()))
				}
			}
			if !kind.TTL.fits(name) {
				d.fault(path+".ttl", d.at(path+".ttl"), "%s.ttl: %s has no such lifetime", path, name)
			}
		}
	}
}

// fits reports whether a kind of provider has the lifetime.
func (t TTL) fits(kind string) bool {
	switch kind {
	case "anthropic", "bedrock":
		return t != "24h"
	case "openai":
		return t == "" || t == "default" || t == "24h"
	}
	return t == "" || t == "default"
}

// set returns how many of the fields are set.
func (i InterceptorConfig) set() (n int) {
	for _, set := range [...]bool{i.PromptCaching != nil, i.HeaderBan != nil, i.AddHeader != nil, i.Limits != nil, i.Redaction != nil, i.Logging != nil, i.Tracing != nil} {
		if set {
			n++
		}
	}
	return n
}

func (c *Config) has(provider string) bool {
	for _, p := range c.Providers {
		if p.Name == provider {
			return true
		}
	}
	return false
}

var errNoTarget = errors.New("a model's target names no provider")

// pools returns the targets of c's models, nil if there are none.
func (c *Config) pools(built map[string]llmproxy.Provider) (*interceptors.Pools, error) {
	if len(c.Models) == 0 {
		return nil, nil
	}
	pools := &interceptors.Pools{Models: map[string][]interceptors.Target{}}
	for at := range c.Models {
		m := &c.Models[at]
		m.routes = nil
		var targets []interceptors.Target
		for i, text := range m.Targets {
			provider, model, _ := strings.Cut(text, "/")
			p, ok := built[provider]
			if !ok {
				return nil, fmt.Errorf("model %s: %w", m.Name, errNoTarget)
			}
			t := interceptors.Target{Provider: p, Model: model, Tier: i}
			if len(m.Weights) > 0 {
				t.Tier, t.Weight = 0, int(m.Weights[i])
			}
			targets = append(targets, t)
			m.routes = append(m.routes, llmproxy.Route{Provider: p, Model: model})
		}
		pools.Models[m.Name] = targets
	}
	return pools, nil
}

// reach returns where else an exchange may be sent to than it is routed.
func (c *Config) reach(x *llmproxy.Exchange) (routes []llmproxy.Route) {
	for _, m := range c.Models {
		if m.Name == x.Meta.Model {
			return m.routes
		}
	}
	return nil
}

// chain returns what wraps each exchange, the outermost first: what the gateway has by
// itself, then what the configuration lists. A fallback goes to the next target, and within
// one target calls are made again. What counts against a quota is that of quotas, to which
// new ones are added, so that a change of the configuration gives nobody more.
func (c *Config) chain(pools *interceptors.Pools, quotas map[quotaOf]*interceptors.Limits, own []llmproxy.Interceptor, logger *slog.Logger) (chain []llmproxy.Interceptor) {
	inner := slices.Clone(own)
	seen := map[LimitsConfig]int{}
	for _, ic := range c.Interceptors {
		switch {
		case ic.Limits != nil:
			of := quotaOf{*ic.Limits, seen[*ic.Limits]}
			seen[*ic.Limits]++
			if quotas[of] == nil {
				quotas[of] = ic.Limits.interceptor()
			}
			chain = append(chain, quotas[of])
		case ic.Logging != nil:
			chain = append(chain, &interceptors.Logging{Logger: logger, Start: ic.Logging.Start, End: ic.Logging.End})
		case ic.Tracing != nil:
			chain = append(chain, &interceptors.Tracing{ResponseHeader: ic.Tracing.ResponseHeader})
		case ic.Redaction != nil:
			chain = append(chain, &interceptors.Redaction{
				Redactor: interceptors.MaskWords(cmp.Or(ic.Redaction.Mask, "[redacted]"), ic.Redaction.Words...), Answers: ic.Redaction.Answers,
			})
		case ic.PromptCaching != nil:
			inner = append(inner, ic.PromptCaching.interceptor(c))
		case ic.HeaderBan != nil: // outside: what is retried goes by the fields that are banned
			chain = append(chain, &interceptors.HeaderBan{Request: ic.HeaderBan.Request, Response: ic.HeaderBan.Response})
		case ic.AddHeader != nil:
			chain = append(chain, &interceptors.AddHeader{Request: header(ic.AddHeader.Request), Response: header(ic.AddHeader.Response)})
		}
	}
	if pools != nil {
		chain = append(chain, pools)
	}
	if n := int(c.Retry.Attempts); n != 1 {
		chain = append(chain, &interceptors.Retry{Attempts: n, Within: time.Duration(c.Retry.Within), MaxWait: time.Duration(c.Retry.MaxWait)})
	}
	return append(chain, inner...)
}

func header(fields map[string]string) http.Header {
	h := http.Header{}
	for name, value := range fields {
		h.Set(name, value)
	}
	return h
}

// quotaOf names what counts against a quota: the entry of the configuration, and how many
// like it stand before it.
type quotaOf struct {
	entry  LimitsConfig
	before int
}

func (l *LimitsConfig) interceptor() *interceptors.Limits {
	i := &interceptors.Limits{Quota: interceptors.Quota{Requests: int64(l.RPM), Tokens: int64(l.TPM), Concurrent: int(l.Concurrent)}}
	switch name, tag := strings.CutPrefix(string(l.Per), "tag:"); {
	case tag:
		i.Per, i.Tag = interceptors.PerTag, name
	case l.Per == "key":
		i.Per = interceptors.PerKey
	case l.Per == "model":
		i.Per = interceptors.PerModel
	default:
		i.Per = interceptors.PerGateway
	}
	return i
}

func (p *PromptCachingConfig) interceptor(c *Config) llmproxy.Interceptor {
	i := &interceptors.PromptCaching{Styles: map[string]interceptors.CachingStyle{}}
	for _, kind := range []struct {
		config *CachingConfig
		style  interceptors.CachingStyle
		types  []string
	}{
		{p.Anthropic, interceptors.CachingAnthropic, []string{"anthropic", "vertexai"}},
		{p.Bedrock, interceptors.CachingBedrock, []string{"bedrock"}},
		{p.OpenAI, interceptors.CachingOpenAI, []string{"openai", "azure"}},
		{p.XAI, interceptors.CachingXAI, []string{"xai"}},
		{p.Fireworks, interceptors.CachingFireworks, []string{"fireworks"}},
	} {
		var ofKind []string
		for _, provider := range c.Providers {
			for _, t := range kind.types {
				if provider.Type == t {
					ofKind = append(ofKind, provider.Name)
					i.Styles[provider.Name] = kind.style
				}
			}
		}
		switch {
		case kind.config == nil:
			if len(ofKind) > 0 {
				i.Rules = append(i.Rules, interceptors.CachingRule{Providers: ofKind, Off: true})
			}
			continue
		case len(kind.config.Providers) > 0:
			ofKind = kind.config.Providers
		}
		if len(ofKind) == 0 {
			continue
		}
		rule := interceptors.CachingRule{Providers: ofKind, Models: kind.config.Models, Long: kind.config.TTL.long(), Key: kind.config.Key}
		if len(kind.config.Providers) > 0 {
			rule.Style = kind.style
		}
		i.Rules = append(i.Rules, rule)
		if len(kind.config.Models) > 0 {
			i.Rules = append(i.Rules, interceptors.CachingRule{Providers: ofKind, Off: true}) // its other models
		}
	}
	// Providers of no kind that was named are left alone.
	i.Rules = append(i.Rules, interceptors.CachingRule{Off: true})
	return i
}
