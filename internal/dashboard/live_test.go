package dashboard_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/dashboard"
)

// recorder keeps records; it can settle.
type recorder struct {
	begun, kept, settled []string
	err                  error
}

func (k *recorder) Begin(_ context.Context, r *llmproxy.Record) error {
	k.begun = append(k.begun, r.ID)
	return k.err
}

func (k *recorder) Record(_ context.Context, r *llmproxy.Record) error {
	k.kept = append(k.kept, r.ID)
	return k.err
}

// settler is a recorder that can settle.
type settler struct{ *recorder }

func (s settler) Settle(_ context.Context, provider, responseID string, _ *llmproxy.Record) (bool, error) {
	s.settled = append(s.settled, provider+"/"+responseID)
	return true, s.err
}

func TestTailShowsWhatIsKept(t *testing.T) {
	t.Parallel()
	var tail dashboard.Tail
	k := &recorder{}
	wrapped := tail.Wrap(settler{k})
	ctx, cancel := context.WithCancel(t.Context())
	records, err := tail.Subscribe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := answered("A", 0, func(r *llmproxy.Record) { r.Tags = map[string]string{"team": "a"} })
	if err := errors.Join(wrapped.Begin(ctx, &r), wrapped.Record(ctx, &r)); err != nil {
		t.Fatal(err)
	}
	r.Tags["team"] = "changed later"
	if got := <-records; got.ID != "A" || got.Tags["team"] != "a" {
		t.Errorf("got %+v", got)
	}
	s, ok := wrapped.(llmproxy.Settler)
	if !ok {
		t.Fatal("what is wrapped can settle, and the wrapper cannot")
	}
	if settled, err := s.Settle(ctx, "openai", "resp_1", &r); !settled || err != nil {
		t.Errorf("got %t, %v", settled, err)
	}
	if _, ok := tail.Wrap(k).(llmproxy.Settler); ok {
		t.Error("what is wrapped cannot settle, and the wrapper can")
	}
	k.err = errors.New("the disk is full")
	if err := wrapped.Record(ctx, &r); !errors.Is(err, k.err) {
		t.Errorf("got %v", err)
	}
	cancel()
	for got := range records {
		t.Errorf("what was not kept is shown: %+v", got)
	}
	if !slices.Equal(k.begun, []string{"A"}) || !slices.Equal(k.kept, []string{"A", "A"}) || !slices.Equal(k.settled, []string{"openai/resp_1"}) {
		t.Errorf("got %+v", k)
	}
}

// A subscriber that does not read is let go, and holds nobody up.
func TestTailDropsTheSlow(t *testing.T) {
	t.Parallel()
	var tail dashboard.Tail
	wrapped := tail.Wrap(&recorder{})
	slow, err := tail.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := answered("A", 0, nil)
	for range dashboard.TailRoom + 10 {
		if err := wrapped.Record(t.Context(), &r); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for range slow {
		n++
	}
	if n != dashboard.TailRoom {
		t.Errorf("got %d records, want %d", n, dashboard.TailRoom)
	}
}

func TestTailCloses(t *testing.T) {
	t.Parallel()
	var tail dashboard.Tail
	records, err := tail.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tail.Close()
	tail.Close()
	if _, ok := <-records; ok {
		t.Error("got a record")
	}
	if _, err := tail.Subscribe(t.Context()); !errors.Is(err, dashboard.ErrTailClosed) {
		t.Errorf("got %v", err)
	}
	r := answered("A", 0, nil)
	if err := tail.Wrap(&recorder{}).Record(t.Context(), &r); err != nil {
		t.Errorf("got %v", err)
	}
}

// events reads an event stream.
type events struct {
	t    *testing.T
	body *bufio.Reader
}

// next returns the name and the data of the next event.
func (e events) next() (name, data string) {
	e.t.Helper()
	for {
		line, err := e.body.ReadString('\n')
		if err != nil {
			return "", err.Error()
		}
		switch line = strings.TrimSuffix(line, "\n"); {
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		case line == "" && name != "":
			return name, data
		}
	}
}

// follow opens the event stream of a server.
func follow(t *testing.T, client *http.Client, url string) (events, *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return events{t, bufio.NewReader(resp.Body)}, resp
}

func TestLiveEvents(t *testing.T) {
	t.Parallel()
	var tail dashboard.Tail
	wrapped := tail.Wrap(&recorder{})
	server := httptest.NewServer(newDashboard(t, dashboard.Options{Records: storeOf(t), Live: &tail}))
	defer server.Close()
	client := server.Client()
	e, resp := follow(t, client, server.URL+"/live/events?provider=openai&tag=team%3Da&outcome=completed")
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("got %s", got)
	}
	if name, _ := e.next(); name != "ready" {
		t.Fatalf("got %s", name)
	}
	tagged := func(provider, team string, o llmproxy.Outcome) func(*llmproxy.Record) {
		return func(r *llmproxy.Record) {
			r.Provider, r.Outcome = provider, o
			r.Tags = map[string]string{"team": team}
			r.Model = "two\nlines\r<b>"
		}
	}
	for _, r := range []llmproxy.Record{
		answered("1", 0, tagged("groq", "a", llmproxy.OutcomeCompleted)),
		answered("2", 0, tagged("openai", "b", llmproxy.OutcomeCompleted)),
		answered("3", 0, tagged("openai", "a", llmproxy.OutcomeError)),
		answered("4", 0, nil),
		answered("5", 0, tagged("openai", "a", llmproxy.OutcomeCompleted)),
	} {
		if err := wrapped.Record(t.Context(), &r); err != nil {
			t.Fatal(err)
		}
	}
	name, data := e.next()
	if name != "exchange" || !strings.Contains(data, `<a href="/exchanges/5">`) || !strings.Contains(data, "two lines &lt;b&gt;") {
		t.Errorf("got %s %s", name, data)
	}
	tail.Close()
	if name, data := e.next(); name != "" || data != "EOF" {
		t.Errorf("after the end: got %s %s", name, data)
	}
	late, resp2 := follow(t, client, server.URL+"/live/events")
	defer resp2.Body.Close()
	if text, _ := late.body.ReadString('\n'); resp2.StatusCode != http.StatusServiceUnavailable || resp2.Header.Get("Retry-After") != "10" || !strings.Contains(text, "shutting_down") {
		t.Errorf("after the end: got %d %s", resp2.StatusCode, text)
	}
}

func TestLiveEventsHaveABound(t *testing.T) {
	t.Parallel()
	var tail dashboard.Tail
	server := httptest.NewServer(newDashboard(t, dashboard.Options{Records: storeOf(t), Live: &tail}))
	defer server.Close()
	client := server.Client()
	for range dashboard.MaxStreams {
		e, resp := follow(t, client, server.URL+"/live/events")
		defer resp.Body.Close()
		if name, _ := e.next(); name != "ready" {
			t.Fatalf("got %s", name)
		}
	}
	e, resp := follow(t, client, server.URL+"/live/events")
	text, _ := e.body.ReadString('\n')
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "too_many_streams") {
		t.Errorf("got %d %s", resp.StatusCode, text)
	}
	tail.Close()
}

func TestLiveEventsRefuse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		live   dashboard.Live
		query  string
		status int
	}{
		{nil, "", http.StatusNotFound},
		{&dashboard.Tail{}, "?limit=1", http.StatusBadRequest},
		{&dashboard.Tail{}, "?outcome=fine", http.StatusBadRequest},
	} {
		d := newDashboard(t, dashboard.Options{Records: storeOf(t), Live: tt.live})
		if w := ask(t, d, "GET", "/live/events"+tt.query); w.Code != tt.status {
			t.Errorf("%q: got %d %s", tt.query, w.Code, w.Body)
		}
	}
}

// paced notes the deadlines of what is written.
type paced struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (p *paced) SetWriteDeadline(t time.Time) error {
	p.deadlines = append(p.deadlines, t)
	return nil
}

// A quiet stream says now and then that it lives, and ends with its client.
func TestLiveEventsBeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tail dashboard.Tail
		d := newDashboard(t, dashboard.Options{Records: storeOf(t), Live: &tail})
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, "GET", "http://localhost/live/events", nil)
		w := &paced{ResponseRecorder: httptest.NewRecorder()}
		start := time.Now()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			d.ServeHTTP(w, r)
		}()
		<-time.After(31 * time.Second)
		cancel()
		<-ended
		if got, want := w.Body.String(), "retry: 3000\n\nevent: ready\ndata: \n\n:\n\n:\n\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		// Each has ten seconds, and between them there is no deadline to pass.
		want := []time.Time{start.Add(10 * time.Second), {}, start.Add(25 * time.Second), {}, start.Add(40 * time.Second), {}}
		if !slices.EqualFunc(w.deadlines, want, time.Time.Equal) {
			t.Errorf("got the deadlines %v, want %v", w.deadlines, want)
		}
	})
}
