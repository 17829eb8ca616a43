package interceptors

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// PromptCaching has providers cache the part of a prompt that the turns of a conversation
// have in common: it marks that part, or names the conversation so that the provider can
// route it to where it is cached. What is done depends on the provider of the attempt, so
// it belongs inside of whatever changes that; inside or outside of retries is the same.
//
//   - Anthropic, and Claude on Vertex and by Bedrock's InvokeModel: cache_control on the last
//     block of the system prompt (without one, on the last tool that is not loaded later) and on the last block that
//     can bear it of the last message.
//   - Bedrock's Converse: a cachePoint at the end of the system prompt, of the tools and of
//     the last message.
//   - OpenAI and Azure: prompt_cache_key, and prompt_cache_retention where Long is set.
//   - xAI: X-Grok-Conv-Id for Chat Completions, prompt_cache_key for Responses.
//   - Fireworks: X-Session-Affinity, and X-Prompt-Cache-Isolation-Key where the tenant is
//     known.
//   - All others, Gemini among them, get what the client sent.
//
// Nothing is done where the client has set a marker or a key itself, or sends
// Cache-Control: no-cache (which of a WebSocket's handshake says nothing of its turns).
// Bodies are spliced, never written anew.
//
// The key that names a conversation is the request field X-Cache-Key, else the rule's, else
// one that is derived from what stays the same in all its turns: system prompt, tools, the
// first message of the user. A response that goes on from an earlier one has the key of that
// while it is remembered. Keys of different tenants are never the same.
//
// The zero value caches wherever it can. A PromptCaching is safe for concurrent use and must
// not be copied after the first.
type PromptCaching struct {
	// Rules say what differs from the defaults; the first that matches an exchange counts.
	Rules []CachingRule
	// Styles says how providers want it, by the names they are configured under. Others go
	// by their names: anthropic, vertexai, bedrock, openai, azure, xai, fireworks.
	Styles map[string]CachingStyle
	// Namespace returns whose cache an exchange may use; "" is nobody's in particular. It
	// must not trust what a client says. Nil: the caller's key.
	Namespace func(x *llmproxy.Exchange) string
	// OnUsage is told of what each exchange read from and wrote to its provider's cache,
	// once it has been settled. r may not be kept. Nil: nobody is.
	OnUsage func(r *llmproxy.Record, u llmproxy.CacheUsage)

	once once
	mu   sync.Mutex              // guards keys
	keys *recent[string, string] // by tenant and response
}

var _ llmproxy.Interceptor = (*PromptCaching)(nil)

// CachingStyle is how a provider is told what to cache.
type CachingStyle string

// The styles.
const (
	CachingAnthropic CachingStyle = "anthropic" // cache_control
	CachingBedrock   CachingStyle = "bedrock"   // cachePoint; cache_control in InvokeModel
	CachingOpenAI    CachingStyle = "openai"    // prompt_cache_key
	CachingXAI       CachingStyle = "xai"       // X-Grok-Conv-Id
	CachingFireworks CachingStyle = "fireworks" // X-Session-Affinity
)

// CachingRule says how exchanges are cached. In patterns, * stands for any characters, and
// case does not matter.
type CachingRule struct {
	Providers []string // patterns of their names; nil matches all
	Models    []string // patterns of the models that providers are asked for; nil matches all

	Off bool // leaves the exchanges as they are
	// Style is how the provider wants it; "" means by [PromptCaching].Styles. A style that is
	// given here also says that the models can cache, whatever is known of them.
	Style CachingStyle
	// Long asks for the longer lifetime: an hour at Anthropic and Bedrock instead of five
	// minutes, a day at OpenAI and Azure. Models that have none get the default.
	Long bool
	// Key names the conversation of all these exchanges; "" derives one for each.
	Key string
}

func (r *CachingRule) matches(provider, model string) bool {
	return (r.Providers == nil || matchesOne(provider, r.Providers...)) && (r.Models == nil || matchesOne(model, r.Models...))
}

// Intercept implements [llmproxy.Interceptor].
func (c *PromptCaching) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	if c.OnUsage != nil && c.once.enter(x.ID) {
		x.OnSettled(func(r *llmproxy.Record) {
			c.once.leave(r.ID)
			if r.UsageSource != llmproxy.UsageNone {
				c.OnUsage(r, r.Usage.Cache())
			}
		})
	}
	return next(ctx, c.marked(x))
}

// marked returns x as it is to be sent.
func (c *PromptCaching) marked(x *llmproxy.Exchange) *llmproxy.Exchange {
	p := x.Route.Provider
	if p == nil || x.Body == nil || !converses(&x.Operation) || refusesCache(x) {
		return x
	}
	m := marking{x: x, model: x.UpstreamModel()}
	if i := slices.IndexFunc(c.Rules, func(r CachingRule) bool { return r.matches(p.Name(), m.model) }); i >= 0 {
		m.rule = c.Rules[i]
	}
	style := m.rule.Style
	if style == "" {
		style = c.styleOf(p.Name())
	}
	if m.rule.Off || style == "" {
		return x
	}
	var edits []wire.Edit
	switch api := x.Operation.API; {
	case style == CachingBedrock && api == llmproxy.APIConverse:
		edits = m.cachePoints()
	case style == CachingBedrock && api == llmproxy.APIInvokeModel,
		style == CachingAnthropic && (api == llmproxy.APIMessages || api == llmproxy.APIInvokeModel):
		edits = m.cacheControl(style)
	case style == CachingOpenAI && chats(api), style == CachingXAI && api == llmproxy.APIResponses:
		edits = m.cacheKey(c.key(x, m.rule.Key), style)
	case style == CachingXAI && api == llmproxy.APIChatCompletions:
		y := x.Clone()
		y.Header = withField(x.Header, "X-Grok-Conv-Id", c.key(x, m.rule.Key))
		return y
	case style == CachingFireworks && chats(api):
		y := x.Clone()
		y.Header = c.fireworks(x, m.rule.Key)
		return y
	}
	if len(edits) == 0 {
		return x
	}
	if len(x.Edits) > 0 {
		edits = append(slices.Clone(x.Edits), edits...)
	}
	if wire.Check(x.Body.Bytes(), edits...) != nil {
		return x // another interceptor replaces what would bear the marks
	}
	y := x.Clone()
	y.Edits = edits
	return y
}

// styleOf returns the style of a provider that no rule has one for.
func (c *PromptCaching) styleOf(provider string) CachingStyle {
	if style, ok := c.Styles[provider]; ok {
		return style
	}
	switch provider {
	case "anthropic", "vertexai":
		return CachingAnthropic
	case "bedrock":
		return CachingBedrock
	case "openai", "azure":
		return CachingOpenAI
	case "xai":
		return CachingXAI
	case "fireworks":
		return CachingFireworks
	}
	return ""
}

// converses reports whether op has a model answer a conversation. Counting its tokens, say,
// or compacting it has no use for a cache.
func converses(op *llmproxy.Operation) bool {
	if !op.JSON || !op.Metered {
		return false
	}
	path := strings.TrimSuffix(op.Path, "/")
	switch op.API {
	case llmproxy.APIResponses:
		return strings.HasSuffix(path, "/responses")
	case llmproxy.APIChatCompletions, llmproxy.APIMessages, llmproxy.APIConverse, llmproxy.APIInvokeModel:
		return true
	}
	return false
}

func chats(api llmproxy.APIType) bool {
	return api == llmproxy.APIChatCompletions || api == llmproxy.APIResponses
}

// refusesCache reports whether the client wants no cache used. Browsers say so of each
// handshake.
func refusesCache(x *llmproxy.Exchange) bool {
	if x.Transport == llmproxy.TransportWebSocket {
		return false
	}
	for _, list := range x.Header["Cache-Control"] {
		for directive := range strings.SplitSeq(list, ",") {
			switch strings.ToLower(strings.TrimSpace(directive)) {
			case "no-cache", "no-store":
				return true
			}
		}
	}
	return false
}

// withField returns h with a field, unless it has one of that name or value is empty.
func withField(h http.Header, name, value string) http.Header {
	if value == "" || len(h[name]) > 0 {
		return h
	}
	h = cloned(h)
	h[name] = []string{value}
	return h
}

// fireworks returns x's header with the fields of Fireworks. A client's isolation key only
// divides its tenant's own namespace.
func (c *PromptCaching) fireworks(x *llmproxy.Exchange, configured string) http.Header {
	const isolation = "X-Prompt-Cache-Isolation-Key"
	h := withField(x.Header, "X-Session-Affinity", c.key(x, configured))
	if tenant := c.namespace(x); tenant != "" {
		h = cloned(h)
		h[isolation] = []string{scoped(tenant, x.Header.Get(isolation))}
	}
	return h
}

// matchesOne reports whether one of patterns matches name.
func matchesOne(name string, patterns ...string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(patterns, func(p string) bool {
		parts := strings.Split(strings.ToLower(p), "*")
		first, last := parts[0], parts[len(parts)-1]
		if len(parts) == 1 {
			return name == first
		}
		rest, ok := strings.CutPrefix(name, first)
		for _, part := range parts[1 : len(parts)-1] {
			_, after, found := strings.Cut(rest, part)
			rest, ok = after, ok && found
		}
		return ok && strings.HasSuffix(rest, last)
	})
}
