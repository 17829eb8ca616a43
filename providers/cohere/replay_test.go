package cohere_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/cohere"
	"github.com/llmproxy/llmproxy/providers/openai"
)

// recording is one exchange with Cohere, and what an independent library makes of it.
type recording struct {
	ID, Path, Request, Response string
	Status                      int
	Headers                     map[string]string
	usage                       map[string]int64
	model                       string
}

func recordings(t *testing.T) (list []recording) {
	t.Helper()
	opinions := map[string]recording{}
	lines(t, "../../../shared/recordings-expected.jsonl", func(line []byte) error {
		var o struct {
			ID, Model string
			Usage     map[string]int64
		}
		err := json.Unmarshal(line, &o)
		opinions[o.ID] = recording{usage: o.Usage, model: o.Model}
		return err
	})
	lines(t, "../../../shared/recordings/cohere.jsonl", func(line []byte) error {
		var r recording
		err := json.Unmarshal(line, &r)
		r.usage, r.model = opinions[r.ID].usage, opinions[r.ID].model
		list = append(list, r)
		return err
	})
	return list
}

func lines(t *testing.T, name string, f func(line []byte) error) {
	t.Helper()
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no recordings beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := bufio.NewScanner(file)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		if err := f(s.Bytes()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
}

// recorder sends each record into a channel.
type recorder chan llmproxy.Record

func (r recorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r recorder) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}

// Every recorded exchange passes through a gateway with a second provider, unchanged both
// ways: on the mount, at Cohere's own path, by a prefix on the model, and on /.
func TestReplay(t *testing.T) {
	t.Parallel()
	all := recordings(t)
	var play recording
	var path, body, key string
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		path, body, key = r.URL.RequestURI(), string(text), r.Header.Get("Authorization")
		for name, value := range play.Headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(play.Status)
		for rest := play.Response; rest != ""; {
			n := min(997, len(rest))
			_, _ = io.WriteString(w, rest[:n])
			rest = rest[n:]
			_ = http.NewResponseController(w).Flush()
		}
	}))
	defer upstream.Close()
	p, err := cohere.New(cohere.Config{BaseURL: upstream.URL, APIKey: "co-ours"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := openai.New(openai.Config{APIKey: "sk-other", BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	records := make(recorder, 1)
	gateway := httptest.NewServer(llmproxy.NewAutoRouter(llmproxy.WithProvider(other, p), llmproxy.WithRecorder(records)))
	defer gateway.Close()

	for _, play = range all {
		for _, way := range []struct{ at, prefix string }{{"/cohere/v2/chat", ""}, {"/v2/chat", ""}, {"/v2/chat", "cohere/"}, {"/", ""}, {"/", "cohere/"}} {
			sent := strings.Replace(play.Request, `"model": "`, `"model": "`+way.prefix, 1)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gateway.URL+way.at, strings.NewReader(sent))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer co-theirs")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || string(got) != play.Response || resp.StatusCode != play.Status {
				t.Errorf("%s by %v: the client received %d and %d bytes, %v, want %d and %d", play.ID, way, resp.StatusCode, len(got), err, play.Status, len(play.Response))
			}
			if path != "/v2/chat" || body != play.Request || key != "Bearer co-ours" {
				t.Errorf("%s by %v: the provider received %s, %s, %s", play.ID, way, path, key, body)
			}
			rec := <-records
			if rec.Provider != "cohere" || rec.Model != play.model || rec.Outcome != llmproxy.OutcomeCompleted || rec.UsageSource != llmproxy.UsageProvider ||
				rec.Usage != (llmproxy.Usage{PromptTokens: play.usage["input_tokens"], CompletionTokens: play.usage["output_tokens"]}) {
				t.Errorf("%s by %v: recorded %+v, want %v of %s", play.ID, way, rec, play.usage, play.model)
			}
		}
	}
}

// A client of OpenAI's API gets Cohere's own version of it.
func TestCompatible(t *testing.T) {
	t.Parallel()
	const text = `{"id":"c1","model":"command-a-03-2025","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`
	var path string
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.RequestURI()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text)
	}))
	defer upstream.Close()
	p, err := cohere.New(cohere.Config{BaseURL: upstream.URL + "/v2"})
	if err != nil {
		t.Fatal(err)
	}
	records := make(recorder, 1)
	w := httptest.NewRecorder()
	llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithRecorder(records)).
		ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"command-a-03-2025","messages":[]}`)))
	if w.Body.String() != text || path != "/compatibility/v1/chat/completions" {
		t.Errorf("got %s from %s", w.Body, path)
	}
	if rec := <-records; rec.Usage != (llmproxy.Usage{PromptTokens: 5, CompletionTokens: 2}) {
		t.Errorf("recorded %+v", rec)
	}
}

// Cohere's errors reach the client as they are, and are recorded as errors.
func TestErrors(t *testing.T) {
	t.Parallel()
	const text = `{"id":"x1","message":"too many requests"}`
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, text)
	}))
	defer upstream.Close()
	p, err := cohere.New(cohere.Config{BaseURL: upstream.URL})
	if err != nil {
		t.Fatal(err)
	}
	records := make(recorder, 1)
	w := httptest.NewRecorder()
	llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithRecorder(records)).
		ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v2/embed", strings.NewReader(`{"model":"embed-v4.0","texts":[]}`)))
	if w.Code != http.StatusTooManyRequests || w.Body.String() != text {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if rec := <-records; rec.Outcome != llmproxy.OutcomeError || rec.UsageSource != llmproxy.UsageNone || rec.CostState != llmproxy.CostFree {
		t.Errorf("recorded %+v", rec)
	}
}
