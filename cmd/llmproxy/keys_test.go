package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// Keys as their reader sees them: made while the gateway runs, spent, revoked.
func TestKeys(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(simulator.New(simulator.Options{}))
	defer provider.Close()
	file := config(t, provider.URL, "listen: 127.0.0.1:0\nauth: {mode: keys}\n")
	p := start(t, []string{"KEY=k"}, "serve", "--config", file)
	url := p.stderr.next(t, `msg=listening address=(\S+)`)
	ask := func(secret string) (status int, body string, header http.Header) {
		t.Helper()
		r, err := http.NewRequest("POST", url+"/v1/chat/completions", strings.NewReader(`{"model":"gpt-5-mini","max_completion_tokens":16,"messages":[{"role":"user","content":"hello"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
		resp, err := client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text), resp.Header
	}
	if status, body, _ := ask(""); status != http.StatusUnauthorized || !strings.Contains(body, "gateway key") {
		t.Errorf("without a key: %d %s", status, body)
	}

	stdout, stderr := call(t, 0, "keys", "create", "--config", file, "--name", "ci", "--budget", "0.00002", "--per", "day", "--tag", "team=a")
	secret := strings.TrimSpace(stdout)
	if strings.Count(stdout, "\n") != 1 || strings.Contains(stderr, secret) || !strings.Contains(stderr, "key_") {
		t.Fatalf("got %q and %q", stdout, stderr)
	}
	var status int
	var body string
	var header http.Header
	within(t, func() bool { // a second
		status, body, header = ask(secret)
		return status != http.StatusUnauthorized
	})
	if status != http.StatusOK || header.Get("X-Gateway-Cost") != "0.00000625" {
		t.Errorf("got %d, %s, cost %q", status, body, header.Get("X-Gateway-Cost"))
	}
	// The budget is spent one call at a time, the last may be held for what is left alone.
	spent := 1
	for ; spent < 10; spent++ {
		if status, body, header = ask(secret); status != http.StatusOK {
			break
		}
	}
	if status != http.StatusPaymentRequired || spent != 4 || !strings.Contains(body, "budget_exceeded") || header.Get("X-Should-Retry") != "false" {
		t.Errorf("after %d calls: %d %s", spent, status, body)
	}

	stdout, _ = call(t, 0, "keys", "list", "--config", file)
	if !strings.Contains(stdout, "ci") || !strings.Contains(stdout, "0.00002 per day") || !strings.Contains(stdout, "team=a") || strings.Contains(stdout, secret) {
		t.Errorf("got %s", stdout)
	}
	id := stdout[strings.Index(stdout, "key_"):]
	id, _, _ = strings.Cut(id, " ")
	stdout, _ = call(t, 0, "usage", "export", "--config", file)
	for _, r := range exported(t, stdout) {
		if r.Key != id || r.Tags["team"] != "a" || r.Outcome != llmproxy.OutcomeCompleted && r.Status != http.StatusPaymentRequired {
			t.Errorf("record %+v", r)
		}
	}
	if strings.Contains(stdout, secret) {
		t.Error("a secret is in the ledger")
	}

	if stdout, _ = call(t, 0, "keys", "revoke", "--config", file, id); stdout != id+" is revoked\n" {
		t.Errorf("got %q", stdout)
	}
	within(t, func() bool {
		status, _, _ = ask(secret)
		return status == http.StatusUnauthorized
	})
	if _, stderr = call(t, 1, "keys", "revoke", "--config", file, "key_none"); !strings.Contains(stderr, "no such key") {
		t.Errorf("got %q", stderr)
	}
	p.interrupt(t)
	p.stdout.rest()
	if rest := p.stderr.rest(); strings.Contains(rest, secret) || strings.Contains(p.stderr.seen.String(), secret) {
		t.Error("a secret is in the log")
	}
	p.end(t, 0)
}

// within asks until done, which takes the gateway a second at most; on a busy machine more.
func within(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 400 {
		if done() {
			return
		}
		<-tick.C
	}
	t.Fatal("it does not come about")
}
