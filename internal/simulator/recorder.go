package simulator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"slices"
	"strings"
)

// Request is what is known of one request that arrived. It is a copy: later news are in
// the next [Server.Requests].
type Request struct {
	Method        string
	URI           string // path and query exactly as in the request line
	Proto         string
	Host          string
	Header        http.Header // read only
	ContentLength int64       // -1: not stated

	Body     []byte      // as far as it has been read; read only
	BodyRead bool        // the end of the body has been seen
	Size     int64       // bytes read; more than len(Body) where the recorder had no room
	SHA256   string      // of the bytes read, in hex; set with BodyRead
	Trailer  http.Header // set with BodyRead; read only

	Finished bool // the answer is over
	Departed bool // the client left before that
}

// recorder remembers requests.
type recorder struct {
	keep      int
	keepBytes int64

	news
	entries []*entry // guarded by mu, the oldest first
	bytes   int64    // of their bodies; guarded by mu
}

// entry is one remembered request.
type entry struct {
	recorder *recorder
	request  Request     // guarded by recorder.mu
	gone     bool        // forgotten: its body is not kept any more; guarded by recorder.mu
	stop     func() bool // no more news of the request's context
}

// begin remembers r.
func (rec *recorder) begin(r *http.Request) *entry {
	e := &entry{recorder: rec, request: Request{
		Method:        r.Method,
		URI:           r.RequestURI,
		Proto:         r.Proto,
		Host:          r.Host,
		Header:        r.Header.Clone(),
		ContentLength: r.ContentLength,
	}}
	rec.change(func() {
		rec.entries = append(rec.entries, e)
		rec.trim()
	})
	e.stop = context.AfterFunc(r.Context(), e.depart)
	return e
}

// trim forgets the oldest requests until the rest fits. The caller holds mu.
func (rec *recorder) trim() {
	for len(rec.entries) > 1 && (len(rec.entries) > rec.keep || rec.bytes > rec.keepBytes) {
		rec.forget(rec.entries[0])
		rec.entries = slices.Delete(rec.entries, 0, 1)
	}
}

// forget makes e's body free. The caller holds mu.
func (rec *recorder) forget(e *entry) {
	rec.bytes -= int64(len(e.request.Body))
	e.request.Body = nil
	e.gone = true
}

func (rec *recorder) reset() {
	rec.change(func() {
		for _, e := range rec.entries {
			rec.forget(e)
		}
		rec.entries = nil
	})
}

func (rec *recorder) snapshot() []Request {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.requests()
}

// requests returns copies. The caller holds mu.
func (rec *recorder) requests() []Request {
	requests := make([]Request, len(rec.entries))
	for i, e := range rec.entries {
		requests[i] = e.request
		// What is appended later lies behind the copy's capacity.
		requests[i].Body = slices.Clip(e.request.Body)
	}
	return requests
}

// Await waits until ok says so of the requests that have arrived, and returns them. ok
// is called at each change: a request arrived, a piece of a body, the end of an answer,
// a client that left. When ctx ends first, Await returns its error with what was there.
func (s *Server) Await(ctx context.Context, ok func([]Request) bool) ([]Request, error) {
	return await(ctx, &s.recorder.news, s.recorder.requests, ok)
}

// Arrived holds when n requests have arrived.
func Arrived(n int) func([]Request) bool {
	return func(requests []Request) bool { return len(requests) >= n }
}

// Departed holds when the clients of n requests have left before their answer was over.
func Departed(n int) func([]Request) bool {
	return func(requests []Request) bool {
		return count(requests, func(r *Request) bool { return r.Departed }) >= n
	}
}

// Finished holds when n answers are over, one way or the other.
func Finished(n int) func([]Request) bool {
	return func(requests []Request) bool {
		return count(requests, func(r *Request) bool { return r.Finished }) >= n
	}
}

func count(requests []Request, ok func(*Request) bool) int {
	n := 0
	for i := range requests {
		if ok(&requests[i]) {
			n++
		}
	}
	return n
}

// depart notes that the client left.
func (e *entry) depart() {
	e.recorder.change(func() {
		if !e.request.Finished {
			e.request.Departed = true
		}
	})
}

// finish notes that the answer is over, and whether the client had left: depart may not
// have heard of it yet.
func (e *entry) finish(left bool) {
	e.stop()
	e.recorder.change(func() {
		e.request.Finished = true
		e.request.Departed = e.request.Departed || left
	})
}

// tee returns body, remembering what is read of it.
func (e *entry) tee(body io.ReadCloser, r *http.Request) io.ReadCloser {
	return &recordedBody{ReadCloser: body, entry: e, request: r, hash: sha256.New()}
}

type recordedBody struct {
	io.ReadCloser
	entry   *entry
	request *http.Request // whose trailer is complete at the end of the body
	hash    hash.Hash
}

func (b *recordedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.hash.Write(p[:n])
	b.entry.recorder.change(func() { b.note(p[:n], err == io.EOF) })
	return n, err
}

// note remembers what was read. The caller holds the recorder's mutex.
func (b *recordedBody) note(p []byte, end bool) {
	rec, request := b.entry.recorder, &b.entry.request
	request.Size += int64(len(p))
	if end && !request.BodyRead {
		request.BodyRead = true
		request.SHA256 = hex.EncodeToString(b.hash.Sum(nil))
		request.Trailer = b.request.Trailer.Clone()
	}
	if b.entry.gone {
		return
	}
	room := rec.keepBytes/4 - int64(len(request.Body))
	keep := max(0, min(int64(len(p)), room))
	request.Body = append(request.Body, p[:keep]...)
	rec.bytes += keep
	rec.trim()
}

// joined returns all fields of a name as one list.
func joined(h http.Header, name string) string { return strings.Join(h.Values(name), ",") }
