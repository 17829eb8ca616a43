package llmproxy

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy/wire"
)

// Provider is an upstream service: where it is, as whom it is called, and which APIs it
// speaks. A Provider is used by many goroutines at once and must not change after it
// has been registered.
type Provider interface {
	// Name is the name the provider is configured under; it is also its prefix on
	// models and its mount.
	Name() string

	// API says how the provider speaks t; ok is false when it does not.
	API(t APIType) (api API, ok bool)

	// Routing says which models and paths are the provider's own.
	Routing() Routing

	// Settings says how the operator wants the provider to be used.
	Settings() Settings

	URLResolver
	RequestEnricher
}

// API is how one provider speaks one API.
type API struct {
	// NewExtractor makes the reader of one answer. Nil: the answers are not metered.
	NewExtractor func() ResponseExtractor

	// Parser reads what the dialect says in places of its own. Nil: nothing.
	Parser BodyParser

	// IncludeUsage says that streamed answers report usage only when
	// stream_options.include_usage asks for it, and that the provider accepts the
	// member.
	IncludeUsage bool
}

// Routing is what a provider says about the requests that are its own. Patterns may hold
// any number of *, each standing for any characters, and match whole names without
// regard to case.
type Routing struct {
	Models   []string  // the operator's patterns
	BuiltIn  []string  // patterns known to be this provider's
	Prefixes []string  // prefixes on models besides the name ("gemini" for googleai)
	Native   []string  // patterns of native names that begin with a prefix; never cut
	Paths    []APIType // APIs whose path alone points here (messages → anthropic)

	// Deployments says that the provider serves /openai/deployments/{name}/…; no other
	// is asked for such a path unless it is named.
	Deployments bool
}

// URLResolver says where a request goes.
type URLResolver interface {
	// Resolve returns the URL of x's operation. Its query, if it has one, goes before the
	// client's. It returns an
	// *Error when the exchange cannot be expressed as a URL of the provider.
	Resolve(x *Exchange) (*url.URL, error)
}

// RequestEnricher adds what the provider wants to see on every request: credentials,
// signature, version headers. It is the last step before r is sent, once per attempt.
type RequestEnricher interface {
	// Enrich changes the header of r, and its URL and Host if the credential is bound to
	// them. The body of r is final; r.GetBody, where set, returns it for a signature. A
	// body without GetBody streams: an enricher that has to see it whole may read it, in
	// bounds, and put what it read in its place with the right ContentLength. Enrich must
	// not keep r.
	Enrich(r *http.Request, x *Exchange) error
}

// BodyParser reads request members that only one dialect has.
type BodyParser interface {
	// Parse adds to meta what it finds in body. It must tolerate any shape in members
	// that it does not need.
	Parse(body *Body, meta *BodyMetadata)
}

// ResponseExtractor reads what one answer reports about itself. It is fed the frames of
// the answer in order: the events of a stream, or the one JSON body. One value serves
// one answer and one goroutine.
//
// An extractor never fails: a frame it cannot read is a frame without news.
type ResponseExtractor interface {
	// Frame is shown the next frame; f is valid only during the call.
	wire.Sink
	// Done reports that the answer's terminal event has been seen: [DONE] of Chat
	// Completions, response.completed and its siblings of Responses. A JSON body is
	// its own terminal event.
	Done() bool
	// Metadata returns what is known so far. Custom stays nil.
	Metadata() ResponseMetadata
}

// Settings is how the operator wants a provider to be used.
type Settings struct {
	// ClientKeys forwards the client's own credentials in place of the gateway's; the
	// provider's answer to a bad one then reaches the client unchanged.
	ClientKeys bool
	// Timeout bounds the wait for the header of an answer; 0 means
	// Limits.ResponseHeaderTimeout.
	Timeout time.Duration
	// KeyQuery names the query parameters in which the provider's clients may send a
	// credential; they travel no further than its header fields do.
	KeyQuery []string
	// RejectsKey tells from the body of a 400, at most its first 64 KiB, that the provider
	// rejected the credential, where it does not answer 401 or 403. Nil: it does.
	RejectsKey func(body []byte) bool
	// Model is the name under which every model is asked for off the mount: that of a
	// deployment, say. "" changes nothing.
	Model string
}

// HeaderExtractor is a [ResponseExtractor] that also reads the header of the answer, which
// some providers report usage in.
type HeaderExtractor interface {
	ResponseExtractor
	// Header is shown the answer's header before the first frame. It must not be kept.
	Header(h http.Header)
}

// NewsTeller is a [ResponseExtractor] that tells frames that may say something from those
// that say nothing, by the way they look.
type NewsTeller interface {
	ResponseExtractor
	// News is how many frames so far may have said something: a frame with usage always
	// counts.
	News() int
}

// RequestExtractor is a [ResponseExtractor] that also looks at the request: some answers
// leave open what was asked for (the lifetime of cache entries, say).
type RequestExtractor interface {
	ResponseExtractor
	// Request is shown the exchange before the first frame. It must not be kept.
	Request(x *Exchange)
}

// BaseProvider is a [Provider] made of parts. Its zero value speaks no API.
type BaseProvider struct {
	ID       string          // what Name returns
	Speaks   map[APIType]API // the APIs it speaks
	Routes   Routing
	Options  Settings
	URLs     URLResolver     // usually a BaseURL
	Enricher RequestEnricher // nil adds nothing
	Socket   *WebSocketMode  // nil: it has no WebSocket mode
}

var (
	_ Provider                 = (*BaseProvider)(nil)
	_ WebSocketCapableProvider = (*BaseProvider)(nil)
)

// Name returns p.ID.
func (p *BaseProvider) Name() string { return p.ID }

// API looks t up in p.Speaks.
func (p *BaseProvider) API(t APIType) (API, bool) {
	api, ok := p.Speaks[t]
	return api, ok
}

// Routing returns p.Routes.
func (p *BaseProvider) Routing() Routing { return p.Routes }

// Resolve asks p.URLs.
func (p *BaseProvider) Resolve(x *Exchange) (*url.URL, error) { return p.URLs.Resolve(x) }

// Enrich asks p.Enricher.
func (p *BaseProvider) Enrich(r *http.Request, x *Exchange) error {
	if p.Enricher == nil {
		return nil
	}
	return p.Enricher.Enrich(r, x)
}

// Settings returns p.Options.
func (p *BaseProvider) Settings() Settings { return p.Options }

// WebSocketURL returns what p.URLs resolves x to, with ws for http; [ErrNoWebSocket]
// without p.Socket.
func (p *BaseProvider) WebSocketURL(x *Exchange) (*url.URL, error) {
	if p.Socket == nil {
		return nil, fmt.Errorf("provider %s: %w", p.ID, ErrNoWebSocket)
	}
	u, err := p.URLs.Resolve(x)
	if err != nil {
		return nil, err
	}
	u.Scheme = "ws" + strings.TrimPrefix(u.Scheme, "http")
	return u, nil
}

// WebSocketMode returns *p.Socket.
func (p *BaseProvider) WebSocketMode() WebSocketMode {
	if p.Socket == nil {
		return WebSocketMode{}
	}
	return *p.Socket
}
