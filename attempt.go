package llmproxy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy/wire"
)

// attempt sends the exchange to its provider: resolve, edit, enrich, forward. It is the
// innermost round trip, and all that depends on the provider is computed here.
func (e *run) attempt(ctx context.Context, x *Exchange) (*Reply, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	if e.client.Err() != nil {
		cancel(errClosed)
		return nil, clientGone() // what is drained is an answer under way, not a call for nobody
	}
	t := e.tries.newTry(x, cancel)
	if err := e.tries.start(t); err != nil {
		cancel(errClosed)
		return nil, err
	}
	reply, err := e.forward(ctx, t)
	wanted := e.tries.end(t, reply, err)
	if err == nil && !wanted {
		_ = reply.Stream.Close()
		err = internalError(errTooLate)
	}
	if err != nil {
		cancel(errClosed)
		return nil, err
	}
	return reply, nil
}

// send makes the call t. The reply's stream ends ctx.
func (e *run) send(ctx context.Context, t *try) (*Reply, error) {
	x, p := t.x, t.x.Route.Provider
	if p == nil {
		return nil, noProvider(x.Meta.Model)
	}
	api, speaks := p.API(x.Operation.API)
	if op := &x.Operation; op.JSON && !op.Mount && dialects[op.API] && !speaks {
		return nil, mismatch(p, x.Operation.API)
	}
	if at := x.Operation.ModelAt; at.Found() && strings.Trim(x.UpstreamModel(), ".") == "" {
		return nil, badMember("model", "no model has a name of dots only")
	}
	u, err := p.Resolve(x)
	if err != nil {
		return nil, err
	}
	settings := p.Settings()
	u.RawQuery = joinQuery(u.RawQuery, upstreamQuery(x.RawQuery, settings))
	metered := e.a.metering && x.Operation.Metered && api.NewExtractor != nil
	req := (&http.Request{
		Method: x.Method, URL: u, Host: u.Host,
		Header:        requestHeader(x.Header, settings.ClientKeys, e.decoded),
		ContentLength: x.length,
	}).WithContext(ctx)
	asked := false // include_usage, unasked by the client
	switch {
	case x.Body != nil:
		var edits []wire.Edit
		edits, asked = x.edits(metered && api.IncludeUsage)
		if err := wire.Check(x.Body.bytes, edits...); err != nil {
			return nil, internalError(err)
		}
		body := newPayload(x.Body, edits)
		defer body.release()
		req.Body, _ = body.open()
		req.GetBody, req.ContentLength = body.open, body.size
	case x.upload != nil:
		if e.upload.sent.Swap(true) {
			return nil, internalError(errors.New("an opaque body was to be sent twice"))
		}
		req.Body, req.Trailer = e.upload, e.trailer
	default:
		req.ContentLength = 0
	}
	err = p.Enrich(req, x)
	if err == nil {
		err = e.begin(ctx, x)
	}
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		if failure := asError(err); failure.cause != nil {
			e.explain(failure, failure.cause)
		}
		if cause := context.Cause(ctx); cause != nil {
			return nil, upstreamError(p, cause)
		}
		return nil, err
	}

	resp, err := e.roundTrip(req, t, cmp.Or(settings.Timeout, e.a.limits.ResponseHeaderTimeout))
	if err != nil {
		return nil, err
	}
	if !settings.ClientKeys && rejected(resp, settings.RejectsKey, t.cancel) {
		_ = resp.Body.Close()
		return nil, providerAuth(p)
	}
	stream := newBodyStream(ctx, t.cancel, resp.Body, e.a.limits.StreamIdleTimeout)
	reply := e.newReply(x, resp, stream)
	switch {
	case reply.unread:
	case metered:
		e.meter(x, reply, stream, api, asked)
	case e.a.settler != nil && x.Operation.Settles && api.NewExtractor != nil && reply.StatusCode < 300:
		reply.shown = newTap(api.NewExtractor(), x, reply, e.a.limits.Frame)
		stream.tap = reply.shown
	}
	return reply, nil
}

// rejected reports whether resp rejects our credential. What it has to read of the body
// for that is put back.
func rejected(resp *http.Response, byBody func([]byte) bool, cancel context.CancelCauseFunc) bool {
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return true
	case http.StatusBadRequest:
	default:
		return false
	}
	if byBody == nil {
		return false
	}
	const patience = 30 * time.Second
	defer time.AfterFunc(patience, func() { cancel(errTooSlow) }).Stop()
	head, err := readHead(resp.Body)
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = failing{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), resp.Body}
	return byBody(head)
}

// readHead reads the beginning of an answer's body.
func readHead(body io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(body, 64*kib)) }

// failing is the rest of a body that broke off.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// roundTrip sends req and waits for the header of its answer, at most for wait after the
// last of the request has gone.
func (e *run) roundTrip(req *http.Request, t *try, wait time.Duration) (*http.Response, error) {
	timer := time.AfterFunc(math.MaxInt64, func() { t.cancel(errTooSlow) })
	defer timer.Stop()
	if wait > 0 {
		timer.Reset(wait)
		e.upload.onProgress(func() { timer.Reset(wait) })
		defer e.upload.onProgress(nil)
	}
	t.called = true
	resp, err := e.a.transport.RoundTrip(req)
	if err == nil {
		t.status, t.requestID = resp.StatusCode, providerRequestID(resp.Header)
		return resp, nil
	}
	if cause := context.Cause(req.Context()); cause != nil {
		err = cause
	}
	if fault := e.upload.blame(); fault != nil {
		err = fault
	}
	failure := upstreamError(t.x.Route.Provider, err)
	e.explain(failure, err)
	return nil, failure
}

// explain logs why a provider failed, which the client is not told: it may name addresses.
func (e *run) explain(failure *Error, err error) {
	if failure.Status >= 500 && !errors.Is(err, errShutdown) {
		e.a.log().Warn("a provider failed", "id", e.x.ID, "code", failure.Code, "message", failure.Message, "error", err)
	}
}

// edits returns the splices of the body for the provider of x's route: the interceptors'
// and the pipeline's own. asked says that they ask for usage, which is done only if
// askUsage.
func (x *Exchange) edits(askUsage bool) (edits []wire.Edit, asked bool) {
	edits = slices.Clone(x.Edits)
	switch {
	case x.bare:
		edits = append(edits, x.Body.without(memberModel, memberModelID, memberStream)...) // they only routed
	case x.Route.Model == "" || x.Route.Model == x.Meta.Model:
	case x.Operation.ModelAt.Found():
		edits = append(edits, x.modelTwins()...)
	case x.Body.has(memberModel):
		edits = append(edits, wire.Edit{Span: x.Body.spans[memberModel], New: wire.AppendString(nil, x.Route.Model)})
	}
	api := x.Operation.API
	if askUsage && x.Meta.Stream && !x.Meta.IncludeUsage && (api == APIChatCompletions || api == APICompletions) {
		if edit, ok := includeUsage(x.Body); ok {
			return append(edits, edit), true
		}
	}
	return edits, false
}

// modelTwins returns the edits of members that repeat the model of the path, as those of
// Gemini's embeddings and of its token counting do: "model": "models/NAME", at any depth.
// In conversations nothing is touched.
func (x *Exchange) modelTwins() (edits []wire.Edit) {
	switch _, verb, _ := strings.Cut(x.Operation.Path[x.Operation.ModelAt.End:], ":"); verb {
	case "embedContent", "batchEmbedContents", "countTokens":
	default:
		return nil
	}
	text := x.Body.bytes
	name, twin := []byte(`"model"`), wire.AppendString(nil, "models/"+x.Meta.Model)
	// A name in quotes is a name wherever it stands: inside a text, its quotes would be
	// escaped.
	for at := 0; ; {
		i := bytes.Index(text[at:], name)
		if i < 0 {
			return edits
		}
		at += i + len(name)
		value := bytes.TrimLeft(text[at:], jsonSpace)
		if len(value) == 0 || value[0] != ':' {
			continue
		}
		value = bytes.TrimLeft(value[1:], jsonSpace)
		if start := len(text) - len(value); bytes.HasPrefix(value, twin) {
			span := wire.Span{Start: start, End: start + len(twin)}
			edits = append(edits, wire.Edit{Span: span, New: wire.AppendString(nil, "models/"+x.Route.Model)})
		}
	}
}

// begin hands the intent to the recorder, once.
func (e *run) begin(ctx context.Context, x *Exchange) error {
	if !e.tries.first() || e.a.recorder == nil {
		return nil
	}
	intent := describe(x)
	if t := e.turn; t != nil {
		intent.ConnectionID, intent.Lane = t.s.id, t.lane.name
	}
	intent.CostState = e.a.foresee(x, &intent)
	if err := e.a.recorder.Begin(ctx, &intent); err != nil {
		e.tries.undo()
		e.a.log().Error("the recorder refused an intent", "id", x.ID, "error", err)
		return unavailable("ledger_unavailable", "the gateway cannot keep its records at the moment", 5*time.Second)
	}
	return nil
}

// newReply makes a reply of resp, whose body is stream's.
func (e *run) newReply(x *Exchange, resp *http.Response, stream *bodyStream) *Reply {
	reply := &Reply{StatusCode: resp.StatusCode, Header: resp.Header, Stream: stream, exchange: x}
	for name := range resp.Trailer {
		if travelsBack(name) {
			reply.trailers = append(reply.trailers, name)
		}
	}
	reply.trailer = resp.Trailer
	// Over HTTP/1, an answer without a length and without chunks ends where the
	// connection does, whoever ended it.
	reply.unproven = resp.ContentLength < 0 && resp.ProtoMajor == 1 &&
		!slices.Contains(resp.TransferEncoding, "chunked")
	if codings := contentCodings(resp.Header); len(codings) > 0 && x.Method != http.MethodHead && resp.ContentLength != 0 {
		if src, ok := e.a.decode(resp.Body, codings); ok {
			stream.body = src
			resp.Header.Del("Content-Encoding")
			resp.Header.Del("Content-Length")
		} else {
			reply.unread = true
		}
	}
	responseHeader(resp.Header)
	return reply
}

// meter puts a tap on reply, and withholds what only the meter asked for.
func (e *run) meter(x *Exchange, reply *Reply, stream *bodyStream, api API, asked bool) {
	extractor := api.NewExtractor()
	if r, ok := extractor.(RequestExtractor); ok {
		r.Request(x)
	}
	if h, ok := extractor.(HeaderExtractor); ok {
		h.Header(reply.Header)
	}
	t := newTap(extractor, x, reply, e.a.limits.Frame)
	reply.Tap, reply.tap = t, t
	stream.tap = t
	if asked && t.transport == TransportSSE && reply.StatusCode < 300 {
		w := &withhold{src: stream, limit: withholdLimit}
		w.teller, _ = extractor.(NewsTeller)
		reply.Stream = w
	}
}

// withholdLimit bounds the one event that may be kept back. A usage-only event is small.
const withholdLimit = 64 * kib
