package pricing_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

// publisher is a server of prices, without a network.
type publisher struct {
	mu       sync.Mutex // guards the following
	status   int
	body     io.Reader
	header   http.Header
	fails    error
	requests []*http.Request
}

func (p *publisher) set(status int, body string, header ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.body, p.header, p.fails = status, strings.NewReader(body), http.Header{}, nil
	for i := 0; i+1 < len(header); i += 2 {
		p.header.Set(header[i], header[i+1])
	}
}

func (p *publisher) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails = err
}

func (p *publisher) asked() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.requests
	p.requests = nil
	return asked
}

func (p *publisher) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r)
	if p.fails != nil {
		return nil, p.fails
	}
	return &http.Response{StatusCode: p.status, Header: p.header, Body: io.NopCloser(p.body), Request: r}, nil
}

const (
	address = "https://operator:pass-word@prices.example/api.json?token=secret"
	before  = `"gpt-x":{"id":"gpt-x","cost":{"input":1,"output":2}}`
	after   = `"gpt-x":{"id":"gpt-x","cost":{"input":3,"output":4}}`
)

func gptX(r *pricing.Refresher) string {
	c, ok := r.Lookup(llmproxy.CostQuery{Provider: "openai", Model: "gpt-x", Time: time.Now()})
	if !ok {
		return ""
	}
	return c.Input.String()
}

// The book is refreshed at its interval, sooner after a failure, which leaves it as it
// was; and ends with its context.
func TestRunKeepsTheBookFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		p.set(http.StatusOK, modelsDev(before), "ETag", `"one"`, "Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT")
		type told struct {
			version string
			err     error
		}
		news := make(chan told, 10)
		r, err := pricing.NewRefresher(pricing.RefresherConfig{
			From: address, Every: time.Hour, Client: &http.Client{Transport: p},
			Refreshed: func(version string, err error) { news <- told{version, err} },
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := gptX(r); got != "" {
			t.Errorf("before it has run: %q", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()

		first := <-news
		if first.err != nil || gptX(r) != "1" || !strings.HasPrefix(first.version, "models.dev-") {
			t.Fatalf("first: %+v, %s", first, gptX(r))
		}
		if asked := p.asked(); len(asked) != 1 || asked[0].Header.Get("If-None-Match") != "" {
			t.Errorf("first: %d requests", len(asked))
		}

		// Nothing new.
		p.set(http.StatusNotModified, "")
		time.Sleep(time.Hour)
		synctest.Wait()
		asked := p.asked()
		if len(asked) != 1 || asked[0].Header.Get("If-None-Match") != `"one"` ||
			asked[0].Header.Get("If-Modified-Since") != "Tue, 24 Nov 2026 00:00:00 GMT" {
			t.Errorf("second: %d requests, %v", len(asked), asked)
		}
		if len(news) != 0 || gptX(r) != "1" {
			t.Errorf("second: %d news, %s", len(news), gptX(r))
		}

		// Down: the last good book stays, and the next try comes in five minutes.
		p.set(http.StatusServiceUnavailable, "secret")
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := <-news; n.err == nil || n.err.Error() != "prices: status 503" || n.version != first.version || gptX(r) != "1" {
			t.Errorf("third: %+v, %s", n, gptX(r))
		}
		p.fail(errors.New("connection refused"))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := <-news; n.err == nil || n.err.Error() != "prices: connection refused" {
			t.Errorf("fourth: %+v", n)
		}

		// Nonsense.
		p.set(http.StatusOK, strings.ReplaceAll(modelsDev(after), `"input":0.`, `"input":0.000000`), "ETag", `"two"`)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := <-news; !errors.Is(n.err, pricing.ErrImplausible) || gptX(r) != "1" {
			t.Errorf("fifth: %+v, %s", n, gptX(r))
		}
		p.asked()

		// A new price. What was refused has left no tag behind.
		p.set(http.StatusOK, modelsDev(after), "ETag", `"three"`)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := <-news; n.err != nil || n.version == first.version || gptX(r) != "3" {
			t.Errorf("sixth: %+v, %s", n, gptX(r))
		}
		if asked := p.asked(); len(asked) != 1 || asked[0].Header.Get("If-None-Match") != `"one"` {
			t.Errorf("sixth: %d requests", len(asked))
		}

		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// No error says anything of the address, which may hold credentials.
func TestErrorsAreWithoutTheAddress(t *testing.T) {
	t.Parallel()
	p := &publisher{}
	for name, set := range map[string]func(){
		"down":      func() { p.fail(errors.New("no route")) },
		"forbidden": func() { p.set(http.StatusForbidden, "secret") },
		"moved":     func() { p.set(http.StatusFound, "", "Location", "https://elsewhere.example/?secret") },
		"endless": func() {
			p.set(http.StatusOK, "")
			p.body = io.LimitReader(endless{}, 33<<20)
		},
		"broken": func() { p.set(http.StatusOK, "{") },
		"304":    func() { p.set(http.StatusNotModified, "") },
	} {
		r, err := pricing.NewRefresher(pricing.RefresherConfig{From: address, Client: &http.Client{
			Transport:     p,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}})
		if err != nil {
			t.Fatal(err)
		}
		set()
		changed, err := r.Refresh(t.Context())
		if changed || err == nil {
			t.Errorf("%s: changed %v, %v", name, changed, err)
			continue
		}
		for _, secret := range []string{"pass-word", "secret", "prices.example"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	r, err := pricing.NewRefresher(pricing.RefresherConfig{From: "https://[secret", Client: &http.Client{Transport: p}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Refresh(t.Context()); err == nil || err.Error() != "prices: not an address" {
		t.Errorf("no address: %v", err)
	}
}

// endless reads as spaces.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte(" "), len(p))), nil }

// A request that hangs is given up after half a minute, and when the context ends.
func TestAHangingSourceIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := pricing.NewRefresher(pricing.RefresherConfig{From: address, Client: &http.Client{Transport: hanging{}}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := r.Refresh(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestAFileIsReadWhenItHasChanged(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "prices.json")
	write := func(text string, at time.Time) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	r, err := pricing.NewRefresher(pricing.RefresherConfig{From: file, Families: map[string]string{"openai": "openai"}})
	if err != nil {
		t.Fatal(err)
	}
	refresh := func(wantChanged bool, wantErr, wantPrice string) {
		t.Helper()
		changed, err := r.Refresh(t.Context())
		message := ""
		if err != nil {
			message = err.Error()
		}
		if changed != wantChanged || !strings.HasPrefix(message, wantErr) || (wantErr == "") != (message == "") || gptX(r) != wantPrice {
			t.Errorf("changed %v, %q, price %q; want %v, %q, %q", changed, message, gptX(r), wantChanged, wantErr, wantPrice)
		}
	}
	day := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	refresh(false, "prices: no such file or directory", "")
	write(modelsDev(before), day)
	refresh(true, "", "1")
	refresh(false, "", "1")
	write(modelsDev(before), day.Add(time.Second)) // touched
	refresh(false, "", "1")
	write("{", day.Add(2*time.Second))
	refresh(false, "prices: models.dev: unexpected end of JSON input", "1")
	write(modelsDev(after), day.Add(3*time.Second))
	refresh(true, "", "3")
}

// Without a source there is the embedded list, and nothing to do.
func TestWithoutASourceThereIsNothingToRefresh(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	r, err := pricing.NewRefresher(pricing.RefresherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	if changed, err := r.Refresh(ctx); changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
	if got := inputOf(r.Book(), llmproxy.CostQuery{Provider: "openai", Model: "gpt-5"}); got != "1.25" {
		t.Errorf("gpt-5 at %q", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
