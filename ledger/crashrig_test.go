package ledger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// crashRig is what outlives the gateways: their provider, their store, and their clients
// with what those know.
type crashRig struct {
	t               *testing.T
	dir             string
	capacity        int64
	provider, store *httptest.Server
	sockets         *simulator.Server // the provider's WebSockets
	file            string            // of the store, instead of the one here; "" for none
	openStore       OpenStore
	called          atomic.Int64 // exchanges that the provider has seen
	unavailable     atomic.Int64 // 503s
	up              atomic.Bool  // the store

	mu       sync.Mutex // guards what follows
	kept     map[string]llmproxy.Record
	changed  []string        // records that came twice and were not the same
	complete map[string]bool // answers that their client has in full
	turns    map[string]turn // likewise, on WebSockets, by response id
}

// turn is what the client of a turn has been told of its usage.
type turn struct{ prompt, completion int64 }

func newCrashes(t *testing.T) *crashRig {
	t.Helper()
	c := &crashRig{t: t, dir: t.TempDir(), kept: map[string]llmproxy.Record{}, complete: map[string]bool{}, turns: map[string]turn{}}
	c.sockets = simulator.New(simulator.Options{AnyModel: true, TurnScript: func([]byte, int) simulator.Script {
		c.called.Add(1)
		return simulator.Script{}
	}})
	c.provider = httptest.NewServer(http.HandlerFunc(c.answer))
	t.Cleanup(func() {
		c.sockets.Close()
		if err := c.sockets.AwaitNoSockets(context.Background()); err != nil {
			t.Error(err)
		}
		c.provider.Close()
	})
	c.store = httptest.NewServer(http.HandlerFunc(c.append))
	t.Cleanup(c.store.Close)
	return c
}

// answer is the provider.
func (c *crashRig) answer(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		c.sockets.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	n := c.called.Add(1)
	const usage = `"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}`
	if !bytes.Contains(body, []byte(`"stream":true`)) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"c%d","object":"chat.completion","model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],%s}`, n, usage)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range 1 + n%4 {
		fmt.Fprintf(w, `data: {"id":"c%d","object":"chat.completion.chunk","model":"gpt-5-mini","choices":[{"index":0,"delta":{"content":"%d"}}]}`+"\n\n", n, i)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
	}
	fmt.Fprintf(w, `data: {"id":"c%d","object":"chat.completion.chunk","model":"gpt-5-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\n", n)
	fmt.Fprintf(w, `data: {"id":"c%d","object":"chat.completion.chunk","model":"gpt-5-mini","choices":[],%s}`+"\n\ndata: [DONE]\n\n", n, usage)
}

// append is the store.
func (c *crashRig) append(w http.ResponseWriter, r *http.Request) {
	if !c.up.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var batch []llmproxy.Record
	for dec := json.NewDecoder(r.Body); ; {
		var rec llmproxy.Record
		err := dec.Decode(&rec)
		if err == io.EOF {
			break
		}
		if err != nil { // all or nothing
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		batch = append(batch, rec)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range batch {
		rec := &batch[i]
		if old, ok := c.kept[rec.ID]; !ok {
			c.kept[rec.ID] = *rec
		} else if !bytes.Equal(old.AppendJSON(nil), rec.AppendJSON(nil)) {
			c.changed = append(c.changed, rec.ID)
		}
	}
}

// run kills so many gateways, one after the other in one directory, and checks what is
// left.
func (c *crashRig) run(rounds int, up func(round int) bool) {
	c.t.Helper()
	for n := range rounds {
		c.up.Store(up(n))
		c.round(n)
	}
	c.up.Store(true)
	c.drain()

	c.mu.Lock()
	defer c.mu.Unlock()
	died := 0
	byResponse := map[string]llmproxy.Record{}
	for _, r := range c.kept {
		if r.Transport != llmproxy.TransportWebSocket || r.ResponseID == "" {
			continue
		}
		if other, ok := byResponse[r.ResponseID]; ok {
			c.t.Errorf("two records of the turn %s: %s and %s", r.ResponseID, other.ID, r.ID)
		}
		byResponse[r.ResponseID] = r
	}
	for id, told := range c.turns {
		if r, ok := byResponse[id]; !ok {
			c.t.Errorf("the turn %s has reached its client and has no record", id)
		} else if r.Outcome != llmproxy.OutcomeCompleted || r.Usage.PromptTokens != told.prompt || r.Usage.CompletionTokens != told.completion {
			c.t.Errorf("the turn %s has reached its client, with a usage of %+v, and its record says %s", id, told, r.AppendJSON(nil))
		}
	}
	for id := range c.complete {
		if r, ok := c.kept[id]; !ok {
			c.t.Errorf("%s has reached its client and has no record", id)
		} else if r.Outcome != llmproxy.OutcomeCompleted || r.Usage.PromptTokens != 10 || r.Usage.CompletionTokens != 3 {
			c.t.Errorf("%s has reached its client, and its record says %s", id, r.AppendJSON(nil))
		}
	}
	for _, r := range c.kept {
		if r.Error != nil && r.Error.Code == "gateway_died" {
			died++
		}
	}
	if len(c.changed) > 0 {
		c.t.Errorf("recorded twice, differently: %v", c.changed)
	}
	if n := int(c.called.Load()); len(c.kept) < n {
		c.t.Errorf("the provider was called %d times, and there are %d records", n, len(c.kept))
	}
	if len(c.complete) < rounds || len(c.turns) < rounds || died == 0 && rounds >= 15 {
		c.t.Errorf("%d answers and %d turns were complete, %d were not: that shows nothing", len(c.complete), len(c.turns), died)
	}
	c.t.Logf("%d gateways killed: %d calls, %d answers and %d turns complete, %d records, %d of them found at recovery, %d times no room",
		rounds, c.called.Load(), len(c.complete), len(c.turns), len(c.kept), died, c.unavailable.Load())
}

// drain moves what the last gateway has left into the store, and reads a store in a file.
func (c *crashRig) drain() {
	c.t.Helper()
	d, err := openDirectory(c.dir)
	if err != nil {
		c.t.Fatal(err)
	}
	var store Store = &remoteStore{url: c.store.URL}
	if c.file != "" {
		if store, err = c.openStore(c.t.Context(), c.file); err != nil {
			c.t.Fatal(err)
		}
	}
	started(c.t, d, store, Options{}).shut(c.t)
	http.DefaultClient.CloseIdleConnections()
	if c.file != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		err := store.Records(c.t.Context(), Filter{}, func(r *llmproxy.Record) error {
			c.kept[r.ID] = *clone(r)
			return nil
		})
		if err = errors.Join(err, store.Close()); err != nil {
			c.t.Error(err)
		}
	}
}

// round starts a gateway, and kills it in the midst of its work.
func (c *crashRig) round(n int) {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s;%s;%s;%d;%s", childEnv, c.provider.URL, c.store.URL, c.dir, c.capacity, c.file))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	defer stdin.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if c.capacity > 0 && !c.up.Load() {
			return // no room, and nobody who would make some
		}
		c.t.Fatalf("gateway %d does not start: %v: %s", n, err, &stderr)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var left atomic.Int64
	left.Store(int64(rand.IntN(150)))
	if c.capacity > 0 {
		left.Add(600) // so many do not fit
	}
	did := func() { // one more
		if left.Add(-1) == 0 {
			_ = cmd.Process.Kill()
		}
	}
	host := strings.TrimSpace(address)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i := 0; c.ask(client, "http://"+host, i%2 == 0); i++ {
				did()
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for c.talk("ws://"+host+"/v1/responses", did) {
			}
		})
	}
	if left.Load() <= 0 {
		_ = cmd.Process.Kill()
	}
	wg.Wait()
	_ = cmd.Wait()
}

// ask makes one call and notes whether its answer came in full. It returns false when the
// gateway is gone.
func (c *crashRig) ask(client *http.Client, url string, stream bool) bool {
	body := `{"model":"gpt-5-mini","messages":[{"role":"user","content":"hi"}]}`
	if stream {
		body = `{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"hi"}]}`
	}
	resp, err := client.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	whole := err == nil
	if stream { // what comes after that is no part of the answer
		whole = bytes.Contains(got, []byte("data: [DONE]\n\n"))
	}
	switch {
	case resp.StatusCode == http.StatusServiceUnavailable:
		c.unavailable.Add(1)
	case resp.StatusCode == http.StatusOK && whole:
		c.mu.Lock()
		c.complete[resp.Header.Get("X-Gateway-Request-Id")] = true
		c.mu.Unlock()
	}
	return err == nil
}

// talk makes turns on one WebSocket until that ends, and calls did after each. It returns
// false when the gateway is gone.
func (c *crashRig) talk(url string, did func()) bool {
	conn, _, err := coderws.Dialer{}.Dial(context.Background(), url, nil)
	if err != nil {
		return false
	}
	defer conn.Close()
	for n := 0; n < 20; n++ {
		if conn.WriteMessage(llmproxy.WSText, []byte(`{"type":"response.create","model":"gpt-5-mini","input":"hi"}`)) != nil {
			return true
		}
		if !c.listen(conn) {
			return true
		}
		did()
	}
	return true
}

// listen reads one turn to its end.
func (c *crashRig) listen(conn llmproxy.WSConn) bool {
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return false
		}
		var e struct {
			Type     string
			Status   int
			Response struct {
				ID    string
				Usage struct {
					Input  int64 `json:"input_tokens"`
					Output int64 `json:"output_tokens"`
				}
			}
		}
		if err := json.Unmarshal(message, &e); err != nil {
			c.t.Errorf("%q: %v", message, err)
			return false
		}
		switch e.Type {
		case "response.completed":
			c.mu.Lock()
			defer c.mu.Unlock()
			c.turns[e.Response.ID] = turn{e.Response.Usage.Input, e.Response.Usage.Output}
			return true
		case "error":
			if e.Status == http.StatusServiceUnavailable {
				c.unavailable.Add(1)
			}
			return true
		}
	}
}
