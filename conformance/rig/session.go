package rig

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// Session is a client's conversation with the gateway, or with a provider itself.
type Session struct {
	T      *testing.T
	Rig    *Rig         // nil where the client speaks to the provider itself
	URL    string       // base URL for the SDK
	Prefix string       // of models
	Mount  bool         // the path of the base URL names the provider
	Client *http.Client // for the SDK; what it gets is heard

	setup Setup
	tap   *wiretap
	heard []string
}

// Base returns s, for types that embed it.
func (s *Session) Base() *Session { return s }

// Entry is a way into the gateway.
type Entry struct {
	Name   string
	Base   string // path of the base URL
	Prefix string // of models
	HTTP2  bool   // in the clear, from the first byte on; else HTTP/1.1
}

// Enter returns a session with the gateway.
func (r *Rig) Enter(e Entry) *Session {
	r.t.Helper()
	s := newSession(r.t, r.setup, r.Gateway+e.Base, e.HTTP2)
	s.Rig, s.Prefix = r, e.Prefix
	s.Mount = e.Base == "/"+r.provider || strings.HasPrefix(e.Base, "/"+r.provider+"/")
	return s
}

// Direct returns a session with a provider of its own, whose base URL ends in path.
func Direct(t *testing.T, setup Setup, path string) *Session {
	t.Helper()
	return newSession(t, setup, Serve(t, simulator.New(setup.Simulator))+path, false)
}

func newSession(t *testing.T, setup Setup, url string, http2 bool) *Session {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetUnencryptedHTTP2(http2)
	t.Cleanup(transport.CloseIdleConnections)
	tap := &wiretap{transport: transport}
	return &Session{T: t, URL: url, Client: &http.Client{Transport: tap}, setup: setup, tap: tap}
}

// Open is a session of an SDK.
type Open interface{ Base() *Session }

// Everywhere runs a scenario with the provider itself, which open returns a session with
// for a nil entry, and then through the gateway by each entry. The answers that come must
// be the same, byte for byte, and each must have left its record.
func Everywhere[S Open](t *testing.T, entries []Entry, open func(*testing.T, *Entry) S, scenario func(S)) {
	t.Helper()
	d := open(t, nil)
	scenario(d)
	for _, e := range entries {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			s := open(t, &e)
			scenario(s)
			s.Base().Settled()
			s.Base().Same(d.Base())
		})
	}
}

// Model returns how s asks for a model.
func (s *Session) Model(id string) string { return s.Prefix + id }

// Hear keeps what the SDK made of an answer, for the comparison of sessions.
func (s *Session) Hear(raw ...string) { s.heard = append(s.heard, raw...) }

// Do ends the test if a call did not succeed.
func (s *Session) Do(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatalf("the SDK says: %v", err)
	}
}

// Forget forgets the last thing that Hear kept.
func (s *Session) Forget() { s.heard = s.heard[:len(s.heard)-1] }

// Same checks that s got what the provider sent to other, byte for byte, and that the SDK
// made the same of it.
func (s *Session) Same(other *Session) {
	s.T.Helper()
	s.compareWith(other.tap.answers(), s.tap.answers())
	s.Alike(other)
}

// Alike checks that what Hear kept is the same in s and other.
func (s *Session) Alike(other *Session) {
	s.T.Helper()
	s.compareWith(other.heard, s.heard)
}

func (s *Session) compareWith(want, got []string) {
	s.T.Helper()
	if len(got) != len(want) {
		s.T.Errorf("heard %d things, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			at := 0
			for at < min(len(got[i]), len(want[i])) && got[i][at] == want[i][at] {
				at++
			}
			from := max(0, at-80)
			s.T.Errorf("at byte %d heard\n%.400q\nwant\n%.400q", at, got[i][from:], want[i][from:])
			return
		}
	}
}

// Raw returns the bodies that have come so far, or their beginnings.
func (s *Session) Raw() [][]byte {
	s.tap.mu.Lock()
	defer s.tap.mu.Unlock()
	var bodies [][]byte
	for _, a := range s.tap.heard {
		bodies = append(bodies, bytes.Clone(a.body.Bytes()))
	}
	return bodies
}

// wiretap keeps what comes back over HTTP.
type wiretap struct {
	transport http.RoundTripper

	mu    sync.Mutex
	heard []*answer // guarded by mu
}

// answer is one of them.
type answer struct {
	head string
	body bytes.Buffer // as far as it has been read; guarded by the wiretap's mu
}

// RoundTrip keeps the answer to r, and its body as it is read.
func (w *wiretap) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	a := &answer{head: head(resp)}
	w.mu.Lock()
	w.heard = append(w.heard, a)
	w.mu.Unlock()
	resp.Body = &heardBody{resp.Body, w, a}
	return resp, nil
}

// head writes down what the header of an answer says, besides what belongs to the
// connection, what the gateway adds, cookies, which stay with it, and X-Request-Id, in
// which the simulated provider has the path.
func head(resp *http.Response) string {
	var b strings.Builder
	fmt.Fprintln(&b, resp.StatusCode)
	hop := strings.Split(resp.Header.Get("Connection"), ", ")
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		switch {
		case strings.HasPrefix(name, "X-Gateway-"), strings.HasPrefix(name, "Proxy-"), slices.Contains(hop, name):
		case name == "Date", name == "Content-Length", name == "Connection", name == "Keep-Alive", name == "Trailer", name == "Set-Cookie", name == "X-Request-Id":
		default:
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(resp.Header[name], ", "))
		}
	}
	return b.String()
}

// answers returns what has been heard so far.
func (w *wiretap) answers() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var answers []string
	for _, a := range w.heard {
		answers = append(answers, a.head+"\n"+a.body.String())
	}
	return answers
}

type heardBody struct {
	io.ReadCloser
	tap    *wiretap
	answer *answer
}

func (b *heardBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.tap.mu.Lock()
	defer b.tap.mu.Unlock()
	b.answer.body.Write(p[:n])
	return n, err
}
