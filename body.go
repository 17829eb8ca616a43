package llmproxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/llmproxy/llmproxy/wire"
)

// Body is a JSON request body with the places of the members that routing and metering
// read. It is immutable, and empty once nothing can be sent any more.
type Body struct {
	bytes []byte
	root  wire.Span
	spans [memberCount]wire.Span

	pooled bool         // bytes are a buffer of the pool
	users  atomic.Int32 // of the bytes: the exchange, its calls, readers that a transport has
}

// acquire counts a further user of the bytes. It fails where they are gone.
func (b *Body) acquire() bool {
	for {
		n := b.users.Load()
		if b.pooled && n == 0 {
			return false
		}
		if b.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release counts a user out. After the last, the bytes are another body's.
func (b *Body) release() {
	if b.users.Add(-1) == 0 && b.pooled {
		buffer := b.bytes
		b.bytes = nil
		putBuffer(buffer)
	}
}

// A member is a top-level member that the admission scan looks for.
type member int

const (
	memberModel member = iota
	memberModelID
	memberStream
	memberStreamOptions
	memberInput
	memberPrompt
	memberContents
	memberMessages
	memberMaxTokens
	memberMaxCompletionTokens
	memberMaxOutputTokens
	memberServiceTier
	memberPreviousResponseID
	memberBackground
	memberCount
)

var memberNames = wire.NewNames(
	"model", "modelId", "stream", "stream_options", "input", "prompt", "contents", "messages",
	"max_tokens", "max_completion_tokens", "max_output_tokens", "service_tier",
	"previous_response_id", "background",
)

// ParseBody scans text, a JSON object. It returns an *Error when text is not strict JSON
// in UTF-8, is nested too deeply, or repeats a member that routing or metering reads:
// two parsers could then disagree about what is asked, and who pays. It keeps text.
func ParseBody(text []byte) (*Body, error) {
	b := &Body{bytes: text}
	var err error
	b.root, err = memberNames.Scan(text, b.spans[:])
	if dup, ok := errors.AsType[*wire.DuplicateError](err); ok {
		return nil, badMember(dup.Name, "the request body has the member "+dup.Name+" more than once")
	}
	if err != nil {
		e := BadRequest("the request body is not valid JSON: " + err.Error())
		e.cause = err
		return nil, e
	}
	if text[b.root.Start] != '{' {
		return nil, BadRequest("the request body must be a JSON object")
	}
	return b, nil
}

// Bytes returns the body as the client sent it, decoded. It must not be changed, nor used
// when [Interceptor].Intercept has returned: the bytes are another body's then.
func (b *Body) Bytes() []byte { return b.bytes }

func (b *Body) has(m member) bool { return b.spans[m].Found() }

// value returns the bytes of m's value, nil if the body has none.
func (b *Body) value(m member) []byte {
	if !b.has(m) {
		return nil
	}
	return b.spans[m].Of(b.bytes)
}

func (b *Body) int(m member) int64 {
	n, _ := wire.Int(b.value(m))
	return n
}

// metadata reads what the members say. It fails when model is not a string; a wrong type
// anywhere else is for the provider to refuse.
func (b *Body) metadata() (m BodyMetadata, err *Error) {
	for _, member := range [...]member{memberModelID, memberModel} {
		v := b.value(member)
		if v == nil || wire.IsNull(v) {
			continue
		}
		model, ok := wire.String(v)
		switch {
		case ok:
			m.Model = model
		case member == memberModel:
			return m, badMember("model", "the member model must be a string")
		}
	}
	m.Stream, _ = wire.Bool(b.value(memberStream))
	m.Background, _ = wire.Bool(b.value(memberBackground))
	if m.IncludeUsage, err = b.includesUsage(); err != nil {
		return m, err
	}
	m.ServiceTier, _ = wire.String(b.value(memberServiceTier))
	m.PreviousResponseID, _ = wire.String(b.value(memberPreviousResponseID))
	m.MaxTokens = max(b.int(memberMaxTokens), b.int(memberMaxCompletionTokens), b.int(memberMaxOutputTokens))
	return m, nil
}

// without returns the edits that remove members, with their names. A member that begins
// the object takes the comma after it along, any other the one before it, so that what
// remains is an object whichever of them are neighbours.
func (b *Body) without(members ...member) (edits []wire.Edit) {
	var spans []wire.Span
	for _, m := range members {
		if b.has(m) {
			spans = append(spans, b.spans[m])
		}
	}
	slices.SortFunc(spans, func(x, y wire.Span) int { return x.Start - y.Start })
	begins := b.root.Start + 1 // where the object's first member that stays could begin
	for _, at := range spans {
		// Back over the colon to the name, whose first quote is the nearest but one: a
		// name that is ours holds none, however it is spelled.
		at.Start = bytes.LastIndexByte(b.bytes[:at.Start], ':')
		at.Start = bytes.LastIndexByte(b.bytes[:at.Start], '"')
		at.Start = bytes.LastIndexByte(b.bytes[:at.Start], '"')
		before := bytes.TrimRight(b.bytes[begins:at.Start], jsonSpace)
		after := b.bytes[at.End:]
		switch rest := bytes.TrimLeft(after, jsonSpace); {
		case len(before) > 0:
			at.Start = begins + len(before) - len(",")
		case rest[0] == ',':
			at.End += len(after) - len(bytes.TrimLeft(rest[1:], jsonSpace))
			begins = at.End
		}
		edits = append(edits, wire.Edit{Span: at})
	}
	return edits
}

const jsonSpace = " \t\r\n"

// readBody reads r's JSON body, decoded, under the limits.
func (e *run) readBody() (text []byte, decoded bool, err *Error) {
	a, s, r := e.a, e.sink, e.r
	limit := a.limits.RequestBody
	if limit > 0 && r.ContentLength > limit {
		return nil, false, tooLarge("the request body", limit)
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, false, BadRequest("the request body is empty")
	}
	client := newClientBody(r.Body, s, a.limits, limit, "the request body")
	a.watch(e, client.abort)
	defer func() {
		if client.unread() {
			s.hangUp()
		}
		client.release()
	}()
	var src io.Reader = client
	size := r.ContentLength
	codings := contentCodings(r.Header)
	for i := len(codings) - 1; i >= 0; i-- {
		d, ok := a.decoder(codings[i])
		if !ok {
			return nil, false, unsupportedCoding(codings[i])
		}
		dec, derr := d(src)
		if derr != nil {
			return nil, false, codingError(derr, codings[i])
		}
		defer dec.Close()
		src, size = dec, -1
	}
	text, rerr := readAll(src, size, limit)
	switch {
	case errors.Is(rerr, errTooLarge):
		return nil, false, tooLarge("the decoded request body", limit)
	case rerr != nil && len(codings) > 0:
		return nil, false, codingError(rerr, codings[0])
	case rerr != nil:
		return nil, false, asError(rerr)
	case len(text) == 0:
		return nil, false, BadRequest("the request body is empty")
	}
	return text, len(codings) > 0, nil
}

func codingError(err error, coding string) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	e := BadRequest("the request body is not validly coded as " + coding)
	e.cause = err
	return e
}
