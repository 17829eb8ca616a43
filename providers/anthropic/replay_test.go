package anthropic_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/providers/anthropic"
)

// recording is an exchange that another client had with Anthropic.
type recording struct {
	ID, Method, Path, Request, Response string
	Status                              int
	Headers                             map[string]string
}

func recorded(t *testing.T) (list []recording) {
	t.Helper()
	f, err := os.Open("../../../shared/recordings/anthropic.jsonl")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no recordings beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var r recording
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// Every recorded exchange passes through the gateway unchanged, on the mount, routed by
// its model, and by a prefix on the model, with whatever version the client names.
func TestReplayRecordings(t *testing.T) {
	t.Parallel()
	opinions := map[string]dialecttest.Opinion{}
	dialecttest.Recordings(t, "../..", "anthropic", func(r dialecttest.Recording) { opinions[r.ID] = r.Want })
	var mu sync.Mutex // guards playing
	var playing recording
	r := newRig(t, anthropic.Config{APIKey: providerKey}, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		for name, value := range playing.Headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(playing.Status)
		cut(w, playing.Response)
	})
	versions := []string{"", "2023-06-01", "2026-10-21"}
	list := recorded(t)
	for i, rec := range list {
		mu.Lock()
		playing = rec
		mu.Unlock()
		for k, way := range []string{"mount", "auto", "prefix"} {
			path, sent := rec.Path, rec.Request
			switch way {
			case "mount":
				path = "/anthropic" + path
			case "prefix":
				for _, spelled := range []string{`"model": "`, `"model":"`} {
					sent = strings.Replace(sent, spelled+"claude-", spelled+"anthropic/claude-", 1)
				}
				if sent == rec.Request {
					t.Errorf("%s: the model is spelled in another way", rec.ID)
				}
			}
			version := versions[(i+k)%len(versions)]
			fields := []string{"anthropic-beta", "some-beta"}
			if version != "" {
				fields = append(fields, "anthropic-version", version)
			} else {
				version = "2023-06-01"
			}
			got := r.do(rec.Method, path, sent, fields...)
			if got.status != rec.Status || got.body != rec.Response || got.err != nil {
				t.Errorf("%s by %s: the client received %d and %d bytes, want %d and %d: %v",
					rec.ID, way, got.status, len(got.body), rec.Status, len(rec.Response), got.err)
			}
			for name, value := range rec.Headers {
				if got.header.Get(name) != value {
					t.Errorf("%s by %s: header %s is %q, want %q", rec.ID, way, name, got.header.Get(name), value)
				}
			}
			c := r.called()
			if c.uri != rec.Path || c.body != rec.Request {
				t.Errorf("%s by %s: the provider received another body, at %s:\ngot  %.300q\nwant %.300q", rec.ID, way, c.uri, c.body, rec.Request)
			}
			if c.header.Get("X-Api-Key") != providerKey || c.header.Get("Anthropic-Version") != version || c.header.Get("Anthropic-Beta") != "some-beta" {
				t.Errorf("%s by %s: the provider received %v", rec.ID, way, c.header)
			}
			agree(t, rec, way, got, r.record(), opinions[rec.ID])
		}
	}
	if len(list) != 104 {
		t.Errorf("%d recordings, want 104", len(list))
	}
}

func agree(t *testing.T, played recording, way string, got reply, rec llmproxy.Record, want dialecttest.Opinion) {
	t.Helper()
	source := llmproxy.UsageProvider
	if want.Usage == nil {
		source = llmproxy.UsageNone // counts of tokens, and an error
	}
	outcome := llmproxy.OutcomeCompleted
	if played.Status >= 400 {
		outcome = llmproxy.OutcomeError
	}
	if rec.UsageSource != source || rec.Outcome != outcome || rec.Status != played.Status || rec.Inconsistent || rec.Unread {
		t.Errorf("%s by %s: the record is %+v", played.ID, way, rec)
	}
	if diff := dialecttest.Differences(rec.Usage, want); len(diff) > 0 {
		t.Errorf("%s by %s: [ours, the library's] = %v", played.ID, way, diff)
	}
	if want.Model != "" && rec.Model != want.Model {
		t.Errorf("%s by %s: model %q, want %q", played.ID, way, rec.Model, want.Model)
	}
	if !counted(got, &rec) {
		t.Errorf("%s by %s: the client was given other counts: %v, %v", played.ID, way, got.header, got.trailer)
	}
}
