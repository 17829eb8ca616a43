package keys

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// apart returns why k may not touch what x, about t, does; nil if it may.
func (a *Access) apart(ctx context.Context, k *Key, x *llmproxy.Exchange, t thing) error {
	// A turn on a WebSocket has the method of its handshake.
	reads := (x.Method == http.MethodGet || x.Method == http.MethodHead) && x.Body == nil
	if t.kind != "" && t.id == "" && reads && !a.Listings {
		return forbidden("listing_not_allowed", "", "the provider lists what all gateway keys have made, and not only this one's")
	}
	if t.id != "" {
		ok, err := a.may(ctx, k, x, t.id)
		if err != nil {
			return err
		}
		if !ok {
			return &llmproxy.Error{
				Status: http.StatusNotFound, Type: "invalid_request_error", Code: "not_found",
				Message: "nothing with this id was made with this gateway key", NoRetry: true,
			}
		}
	}
	if id := x.Meta.PreviousResponseID; id != "" {
		if err := a.mayRefer(ctx, k, x, id, "previous_response_id", "previous_response_not_found", "response"); err != nil {
			return err
		}
	}
	if x.Body == nil {
		return nil
	}
	body := x.Body.Bytes()
	if x.Operation.API == llmproxy.APIResponses {
		for id := range conversations(body) {
			if err := a.mayRefer(ctx, k, x, id, "conversation", "conversation_not_found", "conversation"); err != nil {
				return err
			}
		}
	}
	for id := range references(body) {
		if err := a.mayRefer(ctx, k, x, id, "", "file_not_found", "file or vector store"); err != nil {
			return err
		}
	}
	return nil
}

// conversations iterates over the conversations that a Responses request goes on with: one,
// but the member may be there twice.
func conversations(body []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name, value := range wire.Members(body) {
			if string(name) != "conversation" {
				continue
			}
			if wire.KindOf(value) == wire.Object {
				value = wire.Member(value, "id")
			}
			if id, ok := wire.String(value); ok && !yield(id) {
				return
			}
		}
	}
}

// mayRefer returns why k may not refer to id, nil if it may.
func (a *Access) mayRefer(ctx context.Context, k *Key, x *llmproxy.Exchange, id, param, code, what string) error {
	ok, err := a.may(ctx, k, x, id)
	if ok || err != nil {
		return err
	}
	return &llmproxy.Error{
		Status: http.StatusBadRequest, Type: "invalid_request_error", Code: code, Param: param,
		Message: fmt.Sprintf("no %s with this id was made with this gateway key", what), NoRetry: true,
	}
}

// may reports whether k may use what has that id at the provider of x.
func (a *Access) may(ctx context.Context, k *Key, x *llmproxy.Exchange, id string) (bool, error) {
	if !plausible(id) {
		return false, nil
	}
	owners, err := a.Owners.of(ctx, at(x.Route.Provider.Name(), id))
	switch {
	case err != nil:
		return false, storeDown("the gateway cannot find out at the moment whose this is")
	case len(owners) == 0:
		return a.AllowUnknown, nil
	case slices.Contains(owners, k.ID):
		return true, nil
	}
	value, tagged := k.Tags[a.Share]
	if a.Share == "" || !tagged || value == "" {
		return false, nil
	}
	return slices.ContainsFunc(owners, func(id string) bool {
		other, ok := a.Keys.Key(id)
		return ok && other.Tags[a.Share] == value
	}), nil
}

// plausible reports whether id can be one of a provider's, and so be kept.
func plausible(id string) bool {
	const longest = 512
	return id != "" && len(id) <= longest && printable(id)
}

// storeDown refuses what depends on a store that does not answer.
func storeDown(message string) *llmproxy.Error {
	return &llmproxy.Error{
		Status: http.StatusServiceUnavailable, Type: "server_error", Code: "keys_unavailable",
		Message: message, RetryAfter: 5 * time.Second,
	}
}

// at is the name of what is known at a provider as id.
func at(provider, id string) string { return provider + "/" + id }

// learn remembers what x, about t, has made, once its answer tells.
func (a *Access) learn(ctx context.Context, x *llmproxy.Exchange, t thing, reply *llmproxy.Reply) {
	key, provider := x.Caller.Key, x.Route.Provider.Name()
	note := func(id string) {
		if plausible(id) {
			a.Owners.note(key, at(provider, id))
		}
	}
	switch api := x.Operation.API; {
	case api == llmproxy.APIResponses && x.Operation.Metered,
		api == llmproxy.APIChatCompletions && x.Operation.Metered && stores(x):
		x.OnSettled(func(r *llmproxy.Record) { note(r.ResponseID) })
		if x.Transport == llmproxy.TransportSSE && reply.Tap != nil {
			// Who is told the id with the first event may use it before the last.
			reply.Stream = &identified{Stream: reply.Stream, tap: reply.Tap, note: note}
		}
	case t.kind != "" && t.id == "" && x.Method == http.MethodPost, t.id != "" && (t.kind == "batches" || t.kind == "uploads"):
		reply.Stream = &reader{Stream: reply.Stream, read: func(body []byte) {
			ids := made(t.kind, body, t.id == "")
			for i := range ids {
				ids[i] = at(provider, ids[i])
			}
			a.Owners.own(ctx, key, ids)
		}}
	}
}

// stores reports whether the client wants the answer to be kept by the provider.
func stores(x *llmproxy.Exchange) bool {
	if x.Body == nil {
		return false
	}
	stored, _ := wire.Bool(wire.Member(x.Body.Bytes(), "store"))
	return stored
}

// made returns the ids in an answer about things of a kind that are the caller's: that of
// what it has created, and those of files that came about by it. Only members count that
// the provider fills in: a name, say, might be the id of somebody else's.
func made(kind string, body []byte, created bool) (ids []string) {
	add := func(value []byte, prefix string) {
		id, ok := wire.String(value)
		if id, is := strings.CutPrefix(id, prefix); ok && is && plausible(id) {
			ids = append(ids, id)
		}
	}
	if created {
		add(wire.Member(body, "id"), "")
	}
	switch file := wire.Member(body, "file"); kind {
	case "batches":
		add(wire.Member(body, "output_file_id"), "")
		add(wire.Member(body, "error_file_id"), "")
	case "uploads":
		add(wire.Member(file, "id"), "")
	case "files": // Google's
		add(wire.Member(file, "name"), "files/")
	case "cachedcontents":
		add(wire.Member(body, "name"), "cachedContents/")
	}
	return ids
}

// identified is the stream of an answer whose id is noted as soon as it is known.
type identified struct {
	llmproxy.Stream
	tap  llmproxy.Tap
	note func(id string) // nil once it has been called
}

func (n *identified) Next() ([]byte, error) {
	piece, err := n.Stream.Next()
	if n.note != nil && err == nil {
		if id := n.tap.Metadata().ID; id != "" {
			n.note(id)
			n.note = nil
		}
	}
	return piece, err
}

// reader is the stream of a small JSON answer, which is read before its end is passed on.
type reader struct {
	llmproxy.Stream
	read func(body []byte) // nil once it has been called
	body []byte
}

// mostRead bounds an answer that is read, in bytes: descriptions of things are small.
const mostRead = 256 << 10

func (r *reader) Next() ([]byte, error) {
	piece, err := r.Stream.Next()
	if r.read == nil {
		return piece, err
	}
	switch {
	case err != nil && err != io.EOF, len(r.body)+len(piece) > mostRead:
		r.read, r.body = nil, nil
		return piece, err
	}
	r.body = append(r.body, piece...)
	// The end of a body with a length may be known before io.EOF says so.
	if text := bytes.TrimRight(r.body, " \t\r\n"); err == io.EOF || len(text) > 0 && text[len(text)-1] == '}' && wire.Valid(text) {
		r.read(r.body)
		r.read, r.body = nil, nil
	}
	return piece, err
}
