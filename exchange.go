package llmproxy

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy/wire"
)

// Exchange is one request with its answer, whatever carries them.
//
// What the client sent (Method, Header, RawQuery, Body, Meta) never changes: the
// pipeline computes its edits of it afresh for each attempt, against the provider of
// that attempt. An interceptor that wants something else sent changes a [Exchange.Clone]
// and hands that to next.
type Exchange struct {
	ID        string    // unique, sorts by time; the record's id
	Start     time.Time // when the request arrived
	Method    string
	Header    http.Header // the client's, credentials included; read only
	RawQuery  string      // as the client sent it
	Operation Operation
	Transport Transport // what the request asks for: sse where it streams
	Meta      BodyMetadata

	// Body is the client's JSON body. It is nil where Operation.JSON is false, and
	// after the pipeline has seen the answer's header: nothing can be sent again then.
	Body *Body

	// Edits are splices of Body that interceptors ask for, besides the pipeline's own.
	// They must not overlap each other nor the members model and stream_options.
	Edits []wire.Edit

	// Route is where the exchange goes.
	Route Route

	// Caller is on whose behalf the request is made.
	Caller Caller

	// Tags are the labels the client gave with X-Gateway-Tags, and the caller's own.
	Tags map[string]string

	settled *settledHooks // shared by all clones

	bare   bool      // the API has no members model and stream: they only routed
	upload io.Reader // an opaque body; nil where there is none
	length int64     // of upload; -1 when unknown
}

// Route is a provider with the name the model has there.
type Route struct {
	Provider Provider
	Model    string // "" leaves the model as the client sent it
}

// Clone returns a copy of x for an interceptor to change. Route and Edits may be set;
// a shared slice or map must be replaced, not changed in place.
func (x *Exchange) Clone() *Exchange {
	c := *x
	return &c
}

// OnSettled has f told of the exchange's record once it is final: after the last byte of
// the answer has been read and before the client can have it, whatever the end. f must not
// keep or change r, and the answer waits for it.
//
// On a WebSocket it is told as well of each response that goes on from this one by itself
// (a steered one's successor), with the record of that, which has an ID of its own.
func (x *Exchange) OnSettled(f func(r *Record)) {
	if x.settled == nil {
		x.settled = &settledHooks{}
	}
	x.settled.mu.Lock()
	defer x.settled.mu.Unlock()
	x.settled.list = append(x.settled.list, f)
}

// settledHooks are the functions that wait for an exchange's record.
type settledHooks struct {
	mu   sync.Mutex // guards list
	list []func(*Record)
}

// call tells all of r, the last that asked first, like deferred calls.
func (h *settledHooks) call(r *Record) {
	h.mu.Lock()
	list := h.list[:len(h.list):len(h.list)]
	h.mu.Unlock()
	for _, f := range slices.Backward(list) {
		f(r)
	}
}

// UpstreamModel returns the model the exchange asks its provider for.
func (x *Exchange) UpstreamModel() string {
	if x.Route.Model != "" {
		return x.Route.Model
	}
	return x.Meta.Model
}

// UpstreamPath returns the operation's path as the provider gets it: with the model it
// has there, for APIs that have the model in the path.
func (x *Exchange) UpstreamPath() string {
	op := &x.Operation
	if !op.ModelAt.Found() || x.Route.Model == "" || x.Route.Model == x.Meta.Model {
		return op.Path
	}
	return op.Path[:op.ModelAt.Start] + escapeModel(x.Route.Model) + op.Path[op.ModelAt.End:]
}

// escapeModel makes model one segment of a path. A colon would end it in Gemini's paths,
// and is escaped in Bedrock's by the SDKs.
func escapeModel(model string) string {
	return strings.ReplaceAll(url.PathEscape(model), ":", "%3A")
}
