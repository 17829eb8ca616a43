package ledger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// Whichever moment a gateway is killed at, an exchange that its client has in full has one
// record, its own; one that a provider was called for has one record.
func TestKill(t *testing.T) {
	t.Parallel()
	newCrashes(t).run(crashes(t, 50), func(int) bool { return true })
}

// The same with a store that is down all the time, and up in the end.
func TestKillWithStoreDown(t *testing.T) {
	t.Parallel()
	newCrashes(t).run(crashes(t, 15), func(int) bool { return false })
}

// The same on a disk that is full again and again, with a store that is up now and then.
func TestKillOnFullDisk(t *testing.T) {
	t.Parallel()
	c := newCrashes(t)
	c.capacity = 3 * smallestSegment
	c.run(crashes(t, 15), func(n int) bool { return n%3 == 2 })
	if c.unavailable.Load() == 0 && !testing.Short() {
		t.Error("the disk was never full")
	}
}

func crashes(t *testing.T, n int) int {
	if testing.Short() {
		return max(n/10, 3)
	}
	return n
}

// childEnv tells a process that it is a gateway to be killed, and how: address of the
// provider, address of the store, directory, bytes on the disk.
const childEnv = "LLMPROXY_LEDGER_CHILD"

// child is the gateway. It ends with its parent, if it is not killed before.
func child() {
	upstream, store, dir, capacity, err := func() (a, b, c string, n int64, err error) {
		f := strings.Split(os.Getenv(childEnv), ";")
		if len(f) != 4 {
			return a, b, c, n, fmt.Errorf("%s has %d parts", childEnv, len(f))
		}
		n, err = strconv.ParseInt(f[3], 10, 64)
		return f[0], f[1], f[2], n, err
	}()
	if err == nil {
		err = serve(upstream, store, dir, capacity)
	}
	fmt.Fprintln(os.Stderr, "gateway:", err)
	os.Exit(1)
}

func serve(upstream, store, dir string, capacity int64) error {
	p, err := openai_compatible.New(openai_compatible.Config{Type: "openai", APIKey: "sk-upstream", BaseURL: upstream})
	if err != nil {
		return err
	}
	d, err := openDirectory(dir)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	j, err := open(&smallDisk{d, capacity}, &remoteStore{url: store}, Options{SegmentBytes: smallestSegment, Logger: log})
	if err != nil {
		return err
	}
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithRecorder(j), llmproxy.WithLogger(log))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(l.Addr())
	return http.Serve(l, router)
}

// remoteStore puts records into the parent's store.
type remoteStore struct {
	Memory
	url string
}

func (s *remoteStore) Append(ctx context.Context, records []llmproxy.Record) error {
	var b bytes.Buffer
	for i := range records {
		b.Write(records[i].AppendJSON(nil))
		b.WriteByte('\n')
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, &b)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// smallDisk is a directory on a disk with so many bytes; 0 means no end to them.
type smallDisk struct {
	directory
	capacity int64
}

func (d *smallDisk) create(name string) (file, error) {
	f, err := d.directory.create(name)
	return &smallFile{f, d}, err
}

func (d *smallDisk) open(name string) (file, error) {
	f, err := d.directory.open(name)
	if err != nil {
		return nil, err
	}
	return &smallFile{f, d}, nil
}

// room fails where more bytes do not fit.
func (d *smallDisk) room(more int64) error {
	list, err := os.ReadDir(string(d.directory))
	if err != nil {
		return err
	}
	for _, e := range list {
		if info, err := e.Info(); err == nil {
			more += info.Size()
		}
	}
	if d.capacity > 0 && more > d.capacity {
		return syscall.ENOSPC
	}
	return nil
}

type smallFile struct {
	file
	d *smallDisk
}

func (f *smallFile) allocate(size int64) error {
	if err := f.d.room(size); err != nil {
		return err
	}
	return f.file.allocate(size)
}

// crashRig is what outlives the gateways: their provider, their store, and their clients
// with what those know.
type crashRig struct {
	t               *testing.T
	dir             string
	capacity        int64
	provider, store *httptest.Server
	called          atomic.Int64 // exchanges that the provider has seen
	unavailable     atomic.Int64 // 503s
	up              atomic.Bool  // the store

	mu       sync.Mutex // guards what follows
	kept     map[string]llmproxy.Record
	changed  []string        // records that came twice and were not the same
	complete map[string]bool // answers that their client has in full
}

func newCrashes(t *testing.T) *crashRig {
	t.Helper()
	c := &crashRig{t: t, dir: t.TempDir(), kept: map[string]llmproxy.Record{}, complete: map[string]bool{}}
	c.provider = httptest.NewServer(http.HandlerFunc(c.answer))
	t.Cleanup(c.provider.Close)
	c.store = httptest.NewServer(http.HandlerFunc(c.append))
	t.Cleanup(c.store.Close)
	return c
}

// answer is the provider.
func (c *crashRig) answer(w http.ResponseWriter, r *http.Request) {
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
	d, err := openDirectory(c.dir)
	if err != nil {
		c.t.Fatal(err)
	}
	j := started(c.t, d, &remoteStore{url: c.store.URL}, Options{})
	j.shut(c.t)
	http.DefaultClient.CloseIdleConnections()

	c.mu.Lock()
	defer c.mu.Unlock()
	died := 0
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
	if len(c.complete) < rounds || died == 0 && rounds >= 15 {
		c.t.Errorf("%d answers were complete, %d were not: that shows nothing", len(c.complete), died)
	}
	c.t.Logf("%d gateways killed: %d calls, %d answers complete, %d records, %d of them found at recovery, %d times no room",
		rounds, c.called.Load(), len(c.complete), len(c.kept), died, c.unavailable.Load())
}

// round starts a gateway, and kills it in the midst of its work.
func (c *crashRig) round(n int) {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s;%s;%s;%d", childEnv, c.provider.URL, c.store.URL, c.dir, c.capacity))
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
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; c.ask(client, "http://"+strings.TrimSpace(address), i%2 == 0); i++ {
				if left.Add(-1) == 0 {
					_ = cmd.Process.Kill()
				}
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
