package llmproxy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// recording is one exchange with a real provider.
type recording struct {
	ID       string            `json:"id"`
	Provider string            `json:"provider"`
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	Request  string            `json:"request"`
	Status   int               `json:"status"`
	Headers  map[string]string `json:"headers"`
	Encoding string            `json:"encoding"`
	Response string            `json:"response"`
}

// opinion is what an independent library reads out of the same answer.
type opinion struct {
	ID    string           `json:"id"`
	Usage map[string]int64 `json:"usage"` // nil: no opinion
	Model string           `json:"model"`
}

const shared = "../shared"

// lines decodes a file of JSON lines.
func lines[T any](t *testing.T, name string) (list []T) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Skipf("the recordings are not here: %v", err)
	}
	defer f.Close()
	s := bufio.NewReader(f)
	for {
		line, err := s.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var v T
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatal(err)
			}
			list = append(list, v)
		}
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// player answers every request with one recording.
type player struct {
	mu       sync.Mutex // guards the following
	play     recording
	path     string
	header   http.Header
	received []byte
}

func (p *player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	p.path, p.header, p.received = r.URL.RequestURI(), r.Header.Clone(), body
	play := p.play
	p.mu.Unlock()
	for name, value := range play.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(play.Status)
	// Odd cuts: primes, so that they fall into line ends, UTF-8 and JSON alike.
	rest := []byte(play.Response)
	for i := 0; len(rest) > 0; i++ {
		n := min([]int{1, 7, 131, 3, 1021, 61, 4099}[i%7], len(rest))
		_, _ = w.Write(rest[:n])
		rest = rest[n:]
		_ = http.NewResponseController(w).Flush()
	}
}

// records keeps the last record.
type records struct {
	mu     sync.Mutex // guards the following
	begun  int
	last   llmproxy.Record
	number int
}

func (r *records) Begin(context.Context, *llmproxy.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun++
	return nil
}

func (r *records) Record(_ context.Context, rec *llmproxy.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = *rec
	r.number++
	return nil
}

var replayed = []string{"openai", "groq", "mistral", "deepseek", "openrouter", "together", "cerebras"}

// Every recorded exchange passes through the gateway: on the provider's mount, routed
// by X-Provider, and routed by a prefix on the model.
func TestReplayRecordings(t *testing.T) {
	t.Parallel()
	opinions := map[string]opinion{}
	for _, o := range lines[opinion](t, shared+"/recordings-expected.jsonl") {
		opinions[o.ID] = o
	}
	total := 0
	for _, name := range replayed {
		recordings := lines[recording](t, shared+"/recordings/"+name+".jsonl")
		total += len(recordings)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replay(t, recordings, opinions)
		})
	}
	if total != 266 {
		t.Errorf("%d recordings, want 266", total)
	}
}

func replay(t *testing.T, recordings []recording, opinions map[string]opinion) {
	p := &player{}
	upstream := httptest.NewServer(p)
	defer upstream.Close()
	rec := &records{}
	router := llmproxy.NewAutoRouter(llmproxy.WithRecorder(rec))
	for _, name := range replayed {
		provider, err := openai_compatible.New(openai_compatible.Config{Name: name, Type: name, BaseURL: upstream.URL, APIKey: "gateway-key"})
		if err != nil {
			t.Fatal(err)
		}
		router.RegisterProvider(provider)
	}
	gateway := httptest.NewServer(router)
	defer gateway.Close()

	for _, r := range recordings {
		for _, way := range []string{"mount", "X-Provider", "prefix"} {
			if err := replayOne(gateway.URL, way, r, opinions[r.ID], p, rec); err != nil {
				t.Errorf("%s by %s: %v", r.ID, way, err)
			}
		}
	}
}

func replayOne(gateway, way string, r recording, want opinion, p *player, rec *records) error {
	var body struct {
		Model         string          `json:"model"`
		Stream        bool            `json:"stream"`
		StreamOptions json.RawMessage `json:"stream_options"`
	}
	if err := json.Unmarshal([]byte(r.Request), &body); err != nil {
		return err
	}
	p.mu.Lock()
	p.play = r
	p.mu.Unlock()
	rec.mu.Lock()
	begun, number := rec.begun, rec.number
	rec.mu.Unlock()

	// What is sent, and where the provider must find it.
	sent, url, at := r.Request, gateway+"/"+r.Provider+r.Path, r.Path
	if way != "mount" {
		operation := r.Path
		for _, prefix := range []string{"/openai", "/api", "/beta", "/v1"} {
			operation = strings.TrimPrefix(operation, prefix)
		}
		url = gateway + "/v1" + operation
		at = strings.Replace(at, "/beta", "", 1) // only a mount reaches it
	}
	if way == "prefix" {
		model, _ := json.Marshal(body.Model)
		if !strings.Contains(sent, `"model": `+string(model)) && !strings.Contains(sent, `"model":`+string(model)) {
			return fmt.Errorf("the model is spelled in another way")
		}
		i := strings.Index(sent, string(model))
		for ; !strings.HasSuffix(strings.TrimRight(sent[:i], " "), `"model":`); i += 1 + strings.Index(sent[i+1:], string(model)) {
		}
		sent = sent[:i] + `"` + r.Provider + "/" + sent[i+1:]
	}
	req, err := http.NewRequest(r.Method, url, strings.NewReader(sent))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer client-key")
	req.Header.Set("Cookie", "session=client-key")
	if way == "X-Provider" {
		req.Header.Set("X-Provider", r.Provider)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return err
	}

	// Bytes. Mistral refuses stream_options and groq needs none; openrouter and the
	// others of this set asked for usage themselves.
	upstream := r.Request
	if body.Stream && body.StreamOptions == nil && strings.HasSuffix(r.Path, "/chat/completions") &&
		(r.Provider == "openai" || r.Provider == "deepseek") {
		i := strings.LastIndexByte(upstream, '}')
		upstream = upstream[:i] + `,"stream_options":{"include_usage":true}` + upstream[i:]
	}
	if way == "prefix" && r.Provider == "groq" && strings.HasPrefix(body.Model, "compound") {
		upstream = sent // groq/compound… is a native name: never cut
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if string(p.received) != upstream {
		return fmt.Errorf("the provider received another body:\ngot  %.300q\nwant %.300q", p.received, upstream)
	}
	if p.path != at {
		return fmt.Errorf("the provider was called at %s, want %s", p.path, at)
	}
	for name, values := range p.header {
		if strings.Contains(strings.Join(values, " "), "client-key") {
			return fmt.Errorf("%s carries the client's key", name)
		}
	}
	if a := p.header.Get("Authorization"); a != "Bearer gateway-key" {
		return fmt.Errorf("the provider received the credential %q", a)
	}
	if resp.StatusCode != r.Status {
		return fmt.Errorf("status %d, want %d", resp.StatusCode, r.Status)
	}
	if string(got) != r.Response {
		return fmt.Errorf("the client received another body: %d bytes, want %d", len(got), len(r.Response))
	}
	for name, value := range r.Headers {
		if resp.Header.Get(name) != value {
			return fmt.Errorf("header %s is %q, want %q", name, resp.Header.Get(name), value)
		}
	}

	// The record.
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.begun != begun+1 || rec.number != number+1 {
		return fmt.Errorf("%d intents and %d records, want one of each", rec.begun-begun, rec.number-number)
	}
	if err := agree(&rec.last, want); err != nil {
		return err
	}
	// Where the library has no opinion, the provider's own total has to do.
	if total := lastTotal.FindAllStringSubmatch(r.Response, -1); want.Usage == nil && r.Status == 200 && len(total) > 0 && rec.last.UsageSource == llmproxy.UsageProvider {
		if n, _ := strconv.ParseInt(total[len(total)-1][1], 10, 64); rec.last.Usage.TotalTokens() != n {
			return fmt.Errorf("the record has %d tokens, the provider says %d", rec.last.Usage.TotalTokens(), n)
		}
	} else if want.Usage == nil && strings.Contains(r.Response, `"total_tokens"`) && rec.last.UsageSource != llmproxy.UsageProvider && r.ID != pendingResponse {
		return fmt.Errorf("the record says that no usage was reported")
	}
	if rec.last.Status != r.Status || rec.last.Provider != r.Provider || rec.last.ID != resp.Header.Get("X-Gateway-Request-Id") {
		return fmt.Errorf("the record is of %d, %s, %s", rec.last.Status, rec.last.Provider, rec.last.ID)
	}
	return counted(resp, &rec.last)
}

// lastTotal finds the totals that a provider states.
var lastTotal = regexp.MustCompile(`"total_tokens": ?([0-9]+)`)

// pendingResponse is a background response: its usage is null, and the totals in it are
// those of its tools.
const pendingResponse = "20574f521a2bc32a"

// recordName maps the library's names for counters to the usage record's.
var recordName = map[string]string{
	"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens",
	"cache_read_tokens": "cache_read_tokens", "cache_write_tokens": "cache_write_tokens",
	"cache_write_5m_tokens": "cache_write_5m_tokens", "cache_write_1h_tokens": "cache_write_1h_tokens",
	"output_reasoning_tokens": "reasoning_tokens", "web_searches": "web_searches",
	"input_audio_tokens": "prompt_audio_tokens", "output_audio_tokens": "completion_audio_tokens",
	"input_image_tokens": "prompt_image_tokens", "output_image_tokens": "completion_image_tokens",
	"input_video_tokens": "prompt_video_tokens", "input_tool_tokens": "tool_prompt_tokens",
}

// agree compares a record with the second opinion. Counters it does not know are left
// alone.
func agree(rec *llmproxy.Record, want opinion) error {
	if want.Usage == nil {
		return nil
	}
	encoded, err := json.Marshal(rec.Usage)
	if err != nil {
		return err
	}
	var have map[string]int64
	if err := json.Unmarshal(encoded, &have); err != nil {
		return err
	}
	got, expected := map[string]int64{}, map[string]int64{}
	for name, n := range want.Usage {
		ours, ok := recordName[name]
		if !ok && !strings.Contains(name, "_text_") && name != "cache_text_read_tokens" {
			return fmt.Errorf("no counter of ours stands for %s", name)
		}
		if ok {
			got[ours], expected[ours] = have[ours], n
		}
	}
	if d := cmp.Diff(expected, got); d != "" {
		return fmt.Errorf("usage (-want +got):\n%s", d)
	}
	if rec.UsageSource != llmproxy.UsageProvider || rec.Outcome == llmproxy.OutcomeError {
		return fmt.Errorf("the record says %s, from %s", rec.Outcome, rec.UsageSource)
	}
	if want.Model != "" && rec.Model != want.Model {
		return fmt.Errorf("the record says model %q, want %q", rec.Model, want.Model)
	}
	return nil
}

// counted checks the token counts that the client was given.
func counted(resp *http.Response, rec *llmproxy.Record) error {
	from := resp.Header
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		from = resp.Trailer
	}
	for name, n := range map[string]int64{
		"X-Gateway-Prompt-Tokens":     rec.Usage.PromptTokens,
		"X-Gateway-Completion-Tokens": rec.Usage.CompletionTokens,
	} {
		want := ""
		if rec.UsageSource == llmproxy.UsageProvider {
			want = strconv.FormatInt(n, 10)
		}
		if got := from.Get(name); got != want {
			return fmt.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	return nil
}
