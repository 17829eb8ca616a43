package interceptors

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// Redactor looks at the texts that pass, and may change them. It is called by many
// goroutines at once, for the texts of one answer in order.
type Redactor interface {
	// RequestText returns what the provider gets in place of text, one text of a request. An
	// error refuses the exchange: an *[llmproxy.Error] as it is, any other with a 400 that
	// does not say why.
	RequestText(ctx context.Context, x *llmproxy.Exchange, text string) (string, error)
	// AnswerText returns what the client gets in place of text, less its last keep bytes,
	// which come again in front of what follows. They begin with a whole character. With
	// last set nothing follows, and keep has no meaning.
	//
	// text is what was kept and the next delta of the answer's text, whole, or one whole
	// text of an answer that is not streamed.
	AnswerText(ctx context.Context, x *llmproxy.Exchange, text string, last bool) (out string, keep int)
}

// Redaction shows texts to a [Redactor] on their way: those of requests, and with Answers
// set those of answers. What the Redactor changes is spliced; all else stays as it is, and
// so does an exchange in which it changes nothing.
//
// The texts of a request are prompts, instructions, messages, results of tools, and what is
// to be embedded. Arguments and definitions of tools, images, documents and bodies that are
// not JSON are none.
//
// The texts of an answer are what the model says, its refusals and, where these are not
// signed, its thoughts. Arguments of tools, citations and log probabilities are none: who
// must not let a word through must not let clients ask for these. Errors pass as they are.
//
// A stream stays one. The Redactor sees whole deltas, whatever the network made of them. It
// may keep back the end of a text that could be the beginning of something, at most Hold
// bytes: a text of which it wants to keep more is treated as if it ended there. While it
// keeps something back, the last event waits as well, and so does what comes after it, at
// most 1 MiB. A turn of a WebSocket leaves its direct path.
//
// What cannot be read is refused, before it is sent: a JSON body of an API that the gateway
// does not know, and with Answers an API whose streams it does not (Bedrock's InvokeModel,
// Cohere's and Ollama's). What a WebSocket carries besides turns does not come here: a
// response.steer, a response.inject, and a response that goes on from a steered one.
//
// Redaction belongs outside of retries, fallbacks and caches. It is safe for concurrent use.
type Redaction struct {
	Redactor Redactor // nil changes nothing
	// Answers shows the texts of answers as well.
	Answers bool
	// Hold is how much of a streamed text may be kept back, in bytes; 0 means 256.
	Hold int
	// Limit bounds an answer that is not streamed, and an event of one that is, in bytes; a
	// larger one breaks off. 0 means 32 MiB.
	Limit int
}

var _ llmproxy.Interceptor = (*Redaction)(nil)

// Intercept implements [llmproxy.Interceptor].
func (r *Redaction) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	if r.Redactor == nil {
		return next(ctx, x)
	}
	api := x.Operation.API
	find := answerTexts[api]
	if r.Answers && x.Operation.JSON && find == nil {
		return nil, unredactable("answers", api)
	}
	y, err := r.request(ctx, x)
	if err != nil {
		return nil, err
	}
	reply, err := next(ctx, y)
	if err != nil || reply == nil || !r.Answers || find == nil || reply.StatusCode < 200 || reply.StatusCode >= 300 {
		return reply, err
	}
	return r.answer(ctx, y, reply, find)
}

func unredactable(what string, api llmproxy.APIType) *llmproxy.Error {
	return &llmproxy.Error{
		Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "not_redactable",
		Message: fmt.Sprintf("the %s of the API %q cannot be read for redaction, which the gateway is set to do", what, api), NoRetry: true,
	}
}

// request returns x with its texts as the Redactor wants them.
func (r *Redaction) request(ctx context.Context, x *llmproxy.Exchange) (*llmproxy.Exchange, error) {
	if x.Body == nil {
		return x, nil
	}
	paths, ok := requestTexts[x.Operation.API]
	if !ok {
		return nil, unredactable("requests", x.Operation.API)
	}
	body := x.Body.Bytes()
	var edits []wire.Edit
	var failure error
	for _, path := range paths {
		walk(body, path, func(value []byte) {
			text, ok := wire.String(value)
			if failure != nil || !ok || text == "" {
				return
			}
			out, err := r.Redactor.RequestText(ctx, x, text)
			switch {
			case err != nil:
				failure = refusal(err)
			case out != text:
				edits = append(edits, wire.Edit{Span: placeOf(body, value), New: wire.AppendString(nil, out)})
			}
		})
	}
	if failure != nil || len(edits) == 0 {
		return x, failure
	}
	y := x.Clone()
	y.Edits = append(slices.Clone(x.Edits), edits...)
	if err := wire.Check(body, y.Edits...); err != nil {
		return nil, fmt.Errorf("redact: the edits of another interceptor: %w", err)
	}
	return y, nil
}

// refusal is the error of a request that the Redactor refuses.
func refusal(err error) error {
	if _, ok := err.(*llmproxy.Error); ok { //nolint:errorlint // what it wraps may be no refusal
		return err
	}
	return &llmproxy.Error{
		Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "content_refused",
		Message: "the gateway refuses what the request says", NoRetry: true,
	}
}

// answer has the texts of reply pass by the Redactor.
func (r *Redaction) answer(ctx context.Context, x *llmproxy.Exchange, reply *llmproxy.Reply, find findTexts) (*llmproxy.Reply, error) {
	h := reply.Header
	if h.Get("Content-Encoding") != "" {
		_ = reply.Stream.Close()
		return nil, &llmproxy.Error{
			Status: http.StatusBadGateway, Type: "server_error", Code: "answer_unreadable",
			Message: "the provider's answer is coded in a way that cannot be read for redaction", NoRetry: true,
		}
	}
	for _, name := range [...]string{"Content-Length", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5", "Etag"} {
		h.Del(name) // of what the provider said
	}
	t := &texts{
		redact: func(text string, last bool) (string, int) { return r.Redactor.AnswerText(ctx, x, text, last) },
		find:   find, hold: cmp.Or(r.Hold, 256), open: map[lane]openText{},
	}
	reply.Stream = &redacted{src: reply.Stream, cut: cutterOf(x, h, cmp.Or(r.Limit, 32<<20)), texts: t}
	return reply, nil
}

// cutterOf returns what cuts the answer to x into frames.
func cutterOf(x *llmproxy.Exchange, h http.Header, limit int) cutter {
	contentType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	contentType = strings.ToLower(strings.TrimSpace(contentType))
	json := contentType == "application/json" || strings.HasSuffix(contentType, "+json")
	switch {
	case x.Transport == llmproxy.TransportWebSocket:
		return wholePieces{}
	case contentType == "application/vnd.amazon.eventstream":
		return &eventStreamCutter{limit: limit}
	case contentType == "text/event-stream", x.Meta.Stream && !json:
		return &sseCutter{limit: limit}
	}
	return &bodyCutter{limit: limit}
}
