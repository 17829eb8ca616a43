// Package providertest holds every provider to what all of them promise: requests and
// answers pass a gateway byte for byte, what was used is on the record, faults of a
// configuration are named, and no secret shows. Only tests import it.
package providertest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/llmproxy/llmproxy"
)

// Rig is a gateway with one provider, in front of a server that stands for the provider's
// service. Its methods are for one goroutine; they end the test where they cannot go on.
type Rig struct {
	Client http.Header // the fields that a client sends with every request

	t       *testing.T
	url     string // the gateway's
	client  *http.Client
	records chan llmproxy.Record
	log     lines

	mu     sync.Mutex // guards the following
	answer http.HandlerFunc
	calls  []Call // of the request that is under way
}

// Call is a request as it reached the service.
type Call struct {
	Method, URI, Host string // URI has the query
	Header            http.Header
	Body              string
	Length            int64 // as announced; -1 if it was not
}

// Reply is an answer as it reached the client.
type Reply struct {
	Status          int
	Header, Trailer http.Header
	Body            string
	Err             error // of reading the body
}

// Result is what a client's request led to.
type Result struct {
	Call   Call // the zero Call if none reached the service
	Reply  Reply
	Record llmproxy.Record
}

// New starts a rig with the provider that open returns for a service at baseURL. It is the
// last of the gateway's providers where opts have others: nothing must be its own for
// being the first. The service answers with an empty JSON object.
func New(t *testing.T, open func(baseURL string) (*llmproxy.BaseProvider, error), opts ...llmproxy.Option) *Rig {
	t.Helper()
	r := &Rig{t: t, Client: http.Header{}, records: make(chan llmproxy.Record, 8)}
	t.Cleanup(r.noMoreRecords) // when the servers are closed
	service := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(service.Close)
	p, err := open(service.URL)
	if err != nil {
		t.Fatal(err)
	}
	upstream, clients := llmproxy.NewTransport(), &http.Transport{DisableCompression: true}
	t.Cleanup(upstream.CloseIdleConnections)
	opts = append([]llmproxy.Option{
		llmproxy.WithTransport(upstream), llmproxy.WithRecorder(recorder(r.records)),
		llmproxy.WithLogger(slog.New(slog.NewTextHandler(&r.log, nil))),
	}, opts...)
	gateway := httptest.NewServer(llmproxy.NewAutoRouter(append(opts, llmproxy.WithProvider(p))...))
	t.Cleanup(gateway.Close)
	t.Cleanup(clients.CloseIdleConnections)
	r.url, r.client = gateway.URL, &http.Client{Transport: clients}
	r.Answers(http.StatusOK, map[string]string{"Content-Type": "application/json"}, "{}")
	return r
}

// serve is the service.
func (r *Rig) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Errorf("the service could not read the body: %v", err)
	}
	r.mu.Lock()
	r.calls = append(r.calls, Call{req.Method, req.RequestURI, req.Host, req.Header, string(body), req.ContentLength})
	answer := r.answer
	r.mu.Unlock()
	answer(w, req)
}

// Answers sets what the service answers from now on. It sends body by [Cut].
func (r *Rig) Answers(status int, header map[string]string, body string) {
	r.AnswersWith(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		Cut(w, body)
	})
}

// AnswersWith sets what answers in the service's place from now on.
func (r *Rig) AnswersWith(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// Cut writes text in pieces of odd sizes, so that they fall into line ends, characters,
// frames and JSON alike.
func Cut(w http.ResponseWriter, text string) {
	for i := 0; text != ""; i++ {
		n := min([]int{1, 7, 131, 3, 1021, 61, 4099}[i%7], len(text))
		_, _ = io.WriteString(w, text[:n])
		text = text[n:]
		_ = http.NewResponseController(w).Flush()
	}
}

// Post sends a JSON body to the gateway.
func (r *Rig) Post(target, body string) Result {
	r.t.Helper()
	return r.Do(http.MethodPost, target, body, nil)
}

// Do sends a request to the gateway, as JSON unless header says otherwise. The fields of
// header replace those of r.Client.
func (r *Rig) Do(method, target, body string, header http.Header) Result {
	r.t.Helper()
	return r.DoFrom(method, target, strings.NewReader(body), header)
}

// DoFrom is Do with a body whose length need not be known.
func (r *Rig) DoFrom(method, target string, body io.Reader, header http.Header) Result {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+target, body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for _, fields := range []http.Header{r.Client, header} {
		for name, values := range fields {
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	r.mu.Lock()
	r.calls = nil
	r.mu.Unlock()
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	result := Result{
		Reply:  Reply{resp.StatusCode, resp.Header, resp.Trailer, string(text), err},
		Record: r.record(),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch len(r.calls) {
	case 0:
	case 1:
		result.Call = r.calls[0]
	default:
		r.t.Errorf("%s: %d calls of the service, want one", target, len(r.calls))
	}
	return result
}

// record waits for the next record.
func (r *Rig) record() llmproxy.Record {
	r.t.Helper()
	select {
	case rec := <-r.records:
		return rec
	case <-r.t.Context().Done():
		r.t.Fatal("no record came")
		panic("unreachable")
	}
}

// noMoreRecords checks that each request had one record.
func (r *Rig) noMoreRecords() {
	select {
	case rec := <-r.records:
		r.t.Errorf("one record more than there were requests: %+v", rec)
	default:
	}
}

// Log returns what the gateway has logged.
func (r *Rig) Log() string { return r.log.String() }

// recorder sends each record into a channel.
type recorder chan llmproxy.Record

func (r recorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r recorder) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
