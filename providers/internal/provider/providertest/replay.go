package providertest

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
)

// root is the repository's, from the folder of a provider.
const root = "../.."

// Recording is an exchange that another client had with a service.
type Recording struct {
	ID, Method, Path, Request string
	Status                    int
	Headers                   map[string]string // of the answer
	Response                  string            // as it was received
	Want                      dialecttest.Opinion
}

// Recordings returns the recordings of a provider, or skips the test where there are none.
func Recordings(t *testing.T, provider string) (all []Recording) {
	t.Helper()
	opinions := map[string]dialecttest.Opinion{}
	dialecttest.Recordings(t, root, provider, func(r dialecttest.Recording) { opinions[r.ID] = r.Want })
	file, err := os.Open(filepath.Join(root, "../shared/recordings", provider+".jsonl"))
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
		var r struct {
			Recording
			Encoding string
		}
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if r.Encoding == "base64" {
			body, err := base64.StdEncoding.DecodeString(r.Response)
			if err != nil {
				t.Fatal(err)
			}
			r.Response = string(body)
		}
		r.Want = opinions[r.ID]
		all = append(all, r.Recording)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// Way is how a client asks for what a recording asked for, and what of that must reach
// the service.
type Way struct {
	Name         string // of the way, in what a test reports
	Target, Body string // the client's
	Header       http.Header
	URI          string // the service's; "" means the recording's path
	Want         string // the body that must reach the service; "" means the recording's
}

// Replay sends what way says, while the service answers as it did in rec. It checks that
// the request reaches the service as it should and the answer the client unchanged, that
// the record agrees with the recording, and that the client was told the record's counts.
func (r *Rig) Replay(rec Recording, way Way) Result {
	r.t.Helper()
	fail := func(format string, args ...any) {
		r.t.Helper()
		r.t.Errorf("%s %s: "+format, append([]any{rec.ID, way.Name}, args...)...)
	}
	uri, body := rec.Path, rec.Request
	if way.URI != "" {
		uri = way.URI
	}
	if way.Want != "" {
		body = way.Want
	}
	r.Answers(rec.Status, rec.Headers, rec.Response)
	got := r.Do(rec.Method, way.Target, way.Body, way.Header)
	if got.Call.Method != rec.Method || got.Call.URI != uri || got.Call.Body != body {
		fail("the service got %s %s with %.300q, want %s %s with %.300q", got.Call.Method, got.Call.URI, got.Call.Body, rec.Method, uri, body)
	}
	if got.Reply.Status != rec.Status || got.Reply.Body != rec.Response || got.Reply.Err != nil {
		fail("the client got %d and %d bytes, want %d and %d: %v", got.Reply.Status, len(got.Reply.Body), rec.Status, len(rec.Response), got.Reply.Err)
	}
	for name, value := range rec.Headers {
		if have := got.Reply.Header.Get(name); have != value {
			fail("the client got %s: %q, want %q", name, have, value)
		}
	}
	if got.Record.Status != rec.Status || got.Record.Unread {
		fail("the record is %+v", got.Record)
	}
	if diff := dialecttest.Differences(got.Record.Usage, rec.Want); len(diff) > 0 {
		fail("[ours, the library's] = %v", diff)
	}
	if want := rec.Want.Model; want != "" && got.Record.Model != want {
		fail("the record's model is %q, want %q", got.Record.Model, want)
	}
	if !told(got) {
		fail("the client was given other counts: %v, %v", got.Reply.Header, got.Reply.Trailer)
	}
	return got
}

// told reports whether the client was given the counts of the record, behind the body if
// that was a stream, and none if the provider reported none.
func told(r Result) bool {
	from := r.Reply.Header
	if r.Record.Transport != llmproxy.TransportHTTP {
		from = r.Reply.Trailer
	}
	in, out := "", ""
	if r.Record.UsageSource == llmproxy.UsageProvider {
		in, out = strconv.FormatInt(r.Record.Usage.PromptTokens, 10), strconv.FormatInt(r.Record.Usage.CompletionTokens, 10)
	}
	return from.Get("X-Gateway-Prompt-Tokens") == in && from.Get("X-Gateway-Completion-Tokens") == out
}
