package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// call runs a command to its end and returns what it wrote to standard output.
func call(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, fault strings.Builder
	cmd := exec.CommandContext(t.Context(), "llmproxy", args...)
	cmd.Env = []string{"KEY=k", "GORACE=atexit_sleep_ms=0"}
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), &out, &fault
	cmd.Path, cmd.Err = "", nil
	path, err := exec.LookPath("llmproxy")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path = path
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("%v: exit code %d, want %d: %s", args, got, code, &fault)
	}
	return out.String(), fault.String()
}

// exported returns the records of an export, by id.
func exported(t *testing.T, text string) map[string]llmproxy.Record {
	t.Helper()
	records := map[string]llmproxy.Record{}
	for line := range strings.Lines(text) {
		var r llmproxy.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if _, twice := records[r.ID]; twice {
			t.Errorf("the record %s twice", r.ID)
		}
		records[r.ID] = r
	}
	return records
}

// The bill as its reader sees it: what the answers said is what the ledger has, while the
// gateway runs, after it was killed, and by the prices of another day.
func TestLedger(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(simulator.New(simulator.Options{}))
	defer provider.Close()
	const listen = "listen: 127.0.0.1:0\n"
	file := config(t, provider.URL, listen)
	p := start(t, []string{"KEY=k"}, "serve", "--config", file)
	url := p.stderr.next(t, `msg=listening address=(\S+)`)
	costs := map[string]string{}
	ask := func(model string) {
		t.Helper()
		resp, err := client().Post(url+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"`+model+`","messages":[{"role":"user","content":"prompt-canary"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s, %v", resp.Status, err)
		}
		costs[resp.Header.Get("X-Gateway-Request-Id")] = resp.Header.Get("X-Gateway-Cost")
	}
	for range 3 {
		ask("gpt-5-mini")
	}

	stdout, _ := call(t, 0, "usage", "export", "--config", file)
	if strings.Contains(stdout, "canary") {
		t.Errorf("a prompt is in the ledger:\n%s", stdout)
	}
	compare := func(stdout string) {
		t.Helper()
		records := exported(t, stdout)
		if len(records) != len(costs) {
			t.Errorf("%d records, want %d", len(records), len(costs))
		}
		for id, cost := range costs {
			if r := records[id]; r.Cost.String() != cost || r.CostState != llmproxy.CostExact || r.PriceVersion == "" {
				t.Errorf("%s: the ledger has %+v, the client was told %s", id, r, cost)
			}
		}
	}
	compare(stdout)

	ask("gpt-5-mini")
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.stderr.rest()
	p.stdout.rest()
	p.end(t, -1)
	stdout, _ = call(t, 0, "usage", "export", "--config", file)
	compare(stdout)

	p = start(t, []string{"KEY=k"}, "serve", "--config", file)
	p.stderr.next(t, `msg=listening`)
	p.interrupt(t)
	p.stderr.rest()
	p.stdout.rest()
	p.end(t, 0)
	stdout, _ = call(t, 0, "usage", "export", "--config", file)
	compare(stdout)
	stdout, _ = call(t, 0, "usage", "--config", file, "--by", "provider")
	if want := "PROVIDER  EXCHANGES  ERRORS  TOKENS IN  CACHED  OUT  COST USD  UNPRICED\nopenai    4          0       4          0       12   0.000025  0\n"; stdout != want {
		t.Errorf("got\n%s, want\n%s", stdout, want)
	}
	stdout, _ = call(t, 0, "usage", "--config", file, "--json")
	var sums []struct {
		Group     string
		Exchanges int
		CostUSD   string `json:"cost_usd"`
	}
	if err := json.Unmarshal([]byte(stdout), &sums); err != nil || len(sums) != 1 || sums[0].Exchanges != 4 || sums[0].Group != "gpt-5-mini-2025-08-07" {
		t.Errorf("got %s, %v", stdout, err)
	}
	if stdout, _ = call(t, 0, "usage", "export", "--config", file, "--format", "csv"); strings.Count(stdout, "\n") != 5 || !strings.HasPrefix(stdout, "id,time,provider,") {
		t.Errorf("got %s", stdout)
	}

	// The same ledger by the prices of another configuration.
	dear := filepath.Join(filepath.Dir(file), "dear.yaml")
	if err := os.WriteFile(dear, []byte("providers:\n  openai: {api_key: k, prices: {\"gpt-5*\": {input: 1000, output: 2000}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, _ = call(t, 0, "usage", "reprice", "--config", dear, "--dry-run")
	if !strings.HasSuffix(stdout, "4 records, 4 would change\n") || strings.Count(stdout, "0.00000625  0.007") != 4 {
		t.Errorf("got %s", stdout)
	}
	stdout, _ = call(t, 0, "usage", "export", "--config", file)
	compare(stdout)
	if stdout, _ = call(t, 0, "usage", "reprice", "--config", dear); !strings.HasSuffix(stdout, "4 records, 4 changed\n") {
		t.Errorf("got %s", stdout)
	}
	stdout, _ = call(t, 0, "usage", "export", "--config", file)
	for _, r := range exported(t, stdout) {
		if r.Cost.String() != "0.007" || r.CostState != llmproxy.CostExact {
			t.Errorf("repriced: %+v", r)
		}
	}
	if stdout, _ = call(t, 0, "usage", "reprice", "--config", dear); !strings.HasSuffix(stdout, "4 records, 0 changed\n") {
		t.Errorf("got %s", stdout)
	}
}

func TestPrices(t *testing.T) {
	t.Parallel()
	file := config(t, "http://127.0.0.1:1", "  local: {type: openai_compatible, base_url: \"http://127.0.0.1:1\", prices: {\"q*\": {input: 0.1, output: 0.4}}}\n")
	stdout, _ := call(t, 0, "prices", "--config", file, "q1")
	if !strings.Contains(stdout, "local     q1     0.1    0.1         0.1          0.4     -      config") {
		t.Errorf("got %s", stdout)
	}
	stdout, _ = call(t, 0, "prices", "--config", file, "gpt-5-mini", "--json")
	var rows []struct {
		Provider, Model, Source, Version string
		Rates                            map[string]string
	}
	if err := json.Unmarshal([]byte(stdout), &rows); err != nil || len(rows) != 1 || rows[0].Provider != "openai" || rows[0].Rates["input"] != "0.25" || rows[0].Rates["output"] != "2" || rows[0].Source != "embedded" || rows[0].Version == "" {
		t.Errorf("got %s, %v", stdout, err)
	}
	_, stderr := call(t, 1, "prices", "--config", file, "no-such-model")
	if stderr != "llmproxy: no price is known: no-such-model\n" {
		t.Errorf("got %q", stderr)
	}
	if stdout, _ = call(t, 0, "prices", "--config", file, "--provider", "anthropic"); !strings.Contains(stdout, "claude-sonnet-4-5") || strings.Contains(stdout, "gpt-") {
		t.Errorf("got %s", stdout)
	}
}
