package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// turn sends a create and returns the id of the response, once it is complete.
func turn(t *testing.T, conn llmproxy.WSConn, create string) string {
	t.Helper()
	if err := conn.WriteMessage(llmproxy.WSText, []byte(create)); err != nil {
		t.Fatal(err)
	}
	for {
		_, p, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			Type     string
			Response struct{ ID string }
		}
		if err := json.Unmarshal(p, &e); err != nil {
			t.Fatal(err)
		}
		switch e.Type {
		case "response.completed":
			return e.Response.ID
		case "error", "response.failed", "response.incomplete":
			t.Fatalf("%s", p)
		}
	}
}

// While requests arrive, the configuration changes again and again: none is lost, all are in
// the ledger, and a WebSocket goes on. A file with faults changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(simulator.New(simulator.Options{APIKey: "k"}))
	defer provider.Close()
	file := config(t, provider.URL, "")
	write := func(more string) {
		t.Helper()
		// As editors do it: a new file in the place of the old one.
		next := filepath.Join(filepath.Dir(file), "next")
		text := fmt.Sprintf("providers:\n  openai: {api_key: \"${KEY}\", base_url: %q}\n%s", provider.URL, more)
		if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, []string{"KEY=k"}, "serve", "--listen", "127.0.0.1:0", "--config", file)
	url := p.stderr.next(t, `msg=listening address=(\S+)`)
	ask := func(model string) (status int, err error) {
		resp, err := client().Post(url+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"`+model+`","messages":[{"role":"user","content":"hello"}]}`))
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	conn, resp, err := coderws.Dialer{}.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/v1/responses", http.Header{"X-Provider": {"openai"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	connection := resp.Header.Get("X-Gateway-Request-Id")
	id := turn(t, conn, `{"type":"response.create","model":"gpt-5-mini","input":"one"}`)

	var asked atomic.Int64
	var workers sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		workers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, err := ask("gpt-5-mini"); status != http.StatusOK || err != nil {
					t.Errorf("while the configuration changes: %d, %v", status, err)
					return
				}
				asked.Add(1)
			}
		})
	}
	for i := range 5 {
		write(fmt.Sprintf("models: {alias-%d: {targets: [openai/gpt-5-mini]}}\n", i))
		p.stderr.next(t, `msg="the new configuration counts" providers=openai`)
		if status, err := ask(fmt.Sprintf("alias-%d", i)); status != http.StatusOK || err != nil {
			t.Errorf("the alias of change %d: %d, %v", i, status, err)
		}
		asked.Add(1)
	}
	write("fallback: nobody\n")
	if line := p.stderr.next(t, `level=ERROR msg="fallback: no provider is named .*line=(\d+)`); line != "3" {
		t.Errorf("the fault is in line %s, want 3", line)
	}
	p.stderr.next(t, `msg="the new configuration is refused: the one before stays" faults=1`)
	// What the requests log has to be read while they end.
	write("models: {last: {targets: [openai/gpt-5-mini]}}\nlog: {level: debug}\n")
	p.stderr.next(t, `msg="log is another now, and counts from the next start on"`)
	p.stderr.next(t, `msg="the new configuration counts"`)
	close(stop)
	go func() {
		workers.Wait()
		_ = p.Process.Signal(syscall.SIGHUP)
	}()
	p.stderr.next(t, `msg="reading the configuration again" reason=signal`)
	p.stderr.next(t, `msg="the new configuration counts"`)
	if status, err := ask("last"); status != http.StatusOK || err != nil {
		t.Errorf("after the signal: %d, %v", status, err)
	}
	asked.Add(1)

	turn(t, conn, `{"type":"response.create","model":"gpt-5-mini","input":"two","previous_response_id":"`+id+`"}`)
	conn.Close()
	p.interrupt(t)
	p.stderr.rest()
	p.stdout.rest()
	p.end(t, 0)
	stdout, _ := call(t, 0, "usage", "export", "--config", file)
	calls, turns := int64(0), 0
	for _, r := range exported(t, stdout) {
		if r.ConnectionID == connection {
			turns++
			continue
		}
		if calls++; r.Outcome != llmproxy.OutcomeCompleted {
			t.Errorf("%s: %s", r.ID, r.Outcome)
		}
	}
	if calls != asked.Load() || turns != 2 {
		t.Errorf("the ledger has %d calls and %d turns, want %d and 2", calls, turns, asked.Load())
	}
}
