package dashboard_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a Chromium that is told what to do through two pipes, by its own protocol
// (https://chromedevtools.github.io/devtools-protocol/): messages of JSON, each ended by a
// zero byte. No port is opened and no driver is needed.
type browser struct {
	t *testing.T
	w io.Writer

	mu      sync.Mutex // guards what follows
	last    int
	waiting map[int]chan message
	tabs    map[string]*tab
	ended   chan struct{} // closed when the browser has ended
}

type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// findChromium returns the path of a Chromium. Without one the test is skipped, or fails
// where CI is true.
func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const how = "no chromium in the PATH: run scripts/chromium.sh"
	if os.Getenv("CI") == "true" {
		t.Fatal(how)
	}
	t.Skip(how)
	return ""
}

// startBrowser starts a Chromium that ends with the test.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path := findChromium(t)
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	cmd := exec.CommandContext(
		ctx, path, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--hide-scrollbars", "--user-data-dir="+filepath.Join(t.TempDir(), "profile"), "about:blank",
	)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // descriptors 3 and 4
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &browser{t: t, w: in, waiting: map[int]chan message{}, tabs: map[string]*tab{}, ended: make(chan struct{})}
	var reading sync.WaitGroup
	reading.Go(func() { b.read(out) })
	t.Cleanup(func() {
		_, _ = b.send("", "Browser.close", struct{}{})
		in.Close()
		reading.Wait() // until it has closed its end
		_ = cmd.Wait()
		cancel()
		out.Close()
	})
	return b
}

// read hands out what the browser says, until it ends.
func (b *browser) read(out io.Reader) {
	r := bufio.NewReader(out)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			break
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		answer, tab := b.waiting[m.ID], b.tabs[m.Session]
		delete(b.waiting, m.ID)
		b.mu.Unlock()
		switch {
		case m.ID != 0 && answer != nil:
			answer <- m
		case m.Method != "" && tab != nil:
			tab.heard(m)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ended)
	for _, answer := range b.waiting {
		close(answer)
	}
	b.waiting = nil
}

// send sends a command and waits for its answer.
func (b *browser) send(session, method string, params any) (json.RawMessage, error) {
	p, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	if b.waiting == nil {
		b.mu.Unlock()
		return nil, io.ErrUnexpectedEOF
	}
	b.last++
	m := message{ID: b.last, Session: session, Method: method, Params: p}
	b.waiting[m.ID] = answer
	text, err := json.Marshal(m)
	if err == nil {
		_, err = b.w.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	got, ok := <-answer
	switch {
	case !ok:
		return nil, io.ErrUnexpectedEOF
	case got.Error != nil:
		return nil, fmt.Errorf("%s: %s", method, got.Error.Message)
	}
	return got.Result, nil
}

// tab is one page.
type tab struct {
	b       *browser
	session string
	loaded  chan struct{}

	mu     sync.Mutex
	faults []string // what the page's console says is wrong
}

// screen is how a page is looked at.
type screen struct {
	name          string
	width, height int
	dark          bool
	scripts       bool
}

// open opens a tab for s.
func (b *browser) open(s screen) *tab {
	b.t.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	b.must("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct {
		ID string `json:"sessionId"`
	}
	b.must("", "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	p := &tab{b: b, session: attached.ID, loaded: make(chan struct{}, 16)}
	b.mu.Lock()
	b.tabs[p.session] = p
	b.mu.Unlock()
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	for _, c := range []struct {
		method string
		params map[string]any
	}{
		{"Page.enable", nil},
		{"Runtime.enable", nil},
		{"Log.enable", nil},
		{"Emulation.setDeviceMetricsOverride", map[string]any{"width": s.width, "height": s.height, "deviceScaleFactor": 1, "mobile": s.width < 500}},
		{"Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}},
		{"Emulation.setScriptExecutionDisabled", map[string]any{"value": !s.scripts}},
	} {
		if c.params == nil {
			c.params = map[string]any{}
		}
		b.must(p.session, c.method, c.params, nil)
	}
	return p
}

func (b *browser) must(session, method string, params, result any) {
	b.t.Helper()
	answer, err := b.send(session, method, params)
	if err == nil && result != nil {
		err = json.Unmarshal(answer, result)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// heard takes an event of the page.
func (p *tab) heard(m message) {
	switch m.Method {
	case "Page.loadEventFired":
		p.loaded <- struct{}{}
	case "Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled":
		var log struct {
			Entry struct{ Level, Text, URL string }
			Type  string
		}
		_ = json.Unmarshal(m.Params, &log)
		if log.Entry.Level == "error" || log.Type == "error" || m.Method == "Runtime.exceptionThrown" {
			p.mu.Lock()
			p.faults = append(p.faults, string(m.Params))
			p.mu.Unlock()
		}
	}
}

// load goes to url and waits until all of the page is there.
func (p *tab) load(url string) {
	p.b.t.Helper()
	var got struct{ ErrorText string }
	p.b.must(p.session, "Page.navigate", map[string]string{"url": url}, &got)
	if got.ErrorText != "" {
		p.b.t.Fatalf("%s: %s", url, got.ErrorText)
	}
	p.wait()
}

// wait waits until all of the next page is there.
func (p *tab) wait() {
	p.b.t.Helper()
	select {
	case <-p.loaded:
	case <-p.b.ended:
		p.b.t.Fatal("the browser has ended")
	}
}

// eval returns what a JavaScript expression comes to, of which a promise is waited for.
func (p *tab) eval(expression string) string {
	p.b.t.Helper()
	var got struct {
		Result    struct{ Value json.RawMessage }
		Exception *struct{ Text string } `json:"exceptionDetails"`
	}
	p.b.must(p.session, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &got)
	if got.Exception != nil {
		p.b.t.Fatalf("%s: %s", expression, got.Exception.Text)
	}
	var text string
	if json.Unmarshal(got.Result.Value, &text) == nil {
		return text
	}
	return string(got.Result.Value)
}

// shoot writes a picture of the page into dir: of the window, and of the page's whole
// length.
func (p *tab) shoot(dir, name string) {
	p.b.t.Helper()
	for suffix, whole := range map[string]bool{"": false, "-whole": true} {
		var got struct{ Data string }
		p.b.must(p.session, "Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": whole}, &got)
		picture, err := base64.StdEncoding.DecodeString(got.Data)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+suffix+".png"), picture, 0o600)
		}
		if err != nil {
			p.b.t.Fatal(err)
		}
	}
}

// wellBehaved fails the test if the console complained, other than about what is expected.
func (p *tab) wellBehaved(expected ...string) {
	p.b.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.faults {
		if !slices.ContainsFunc(expected, func(e string) bool { return strings.Contains(f, e) }) {
			p.b.t.Errorf("the console says %s", f)
		}
	}
}
