package googleai_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/providers/googleai"
)

// A way is how a client may ask for what a recording asked for. It returns the client's
// target and body.
type way func(path, model, body string) (target, sent string)

const keyInQuery = "key=" + clientKey

var ways = map[string]way{
	"on the mount": func(path, _, body string) (string, string) { return "/googleai" + path, body },
	"by the model": func(path, _, body string) (string, string) { return path, body },
	"by a prefix": func(path, _, body string) (string, string) {
		return strings.Replace(path, "/models/", "/models/google/", 1), body
	},
	"by a prefix, encoded": func(path, _, body string) (string, string) {
		return strings.Replace(path, "/models/", "/models/gemini%2F", 1), body
	},
	"by its name, twice /v1": func(path, _, body string) (string, string) {
		return "/v1/v1" + strings.Replace(path, "/models/", "/models/googleai/", 1), body
	},
	"with the key in the query": func(path, _, body string) (string, string) {
		path, query, _ := strings.Cut(path, "?")
		if query != "" {
			return path + "?" + keyInQuery + "&" + query, body
		}
		return path + "?" + keyInQuery, body
	},
	"on the mount, with the key in the query": func(path, _, body string) (string, string) {
		path, query, _ := strings.Cut(path, "?")
		if query != "" {
			return "/googleai" + path + "?" + query + "&k%65y=" + clientKey, body
		}
		return "/googleai" + path + "?k%65y=" + clientKey, body
	},
	"by the body": func(path, model, body string) (string, string) {
		routing := `"model": "google/` + model + `",`
		if strings.Contains(path, ":stream") {
			routing += ` "stream": true, `
		}
		return "/", "{" + routing + body[1:]
	},
	"by the body, as lists name the model": func(path, model, body string) (string, string) {
		routing := `"model":"models/` + model + `"`
		if strings.Contains(path, ":stream") {
			routing += `,"stream":true`
		}
		return "/?" + keyInQuery, body[:len(body)-1] + "," + routing + "}"
	},
}

// What clients asked Google reaches it at the same place and byte for byte, whichever way
// it goes, the answer comes back the same, and what it used is on the record.
func TestRecordings(t *testing.T) {
	t.Parallel()
	requests := recorded(t, "google")
	for name, change := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, googleai.Config{APIKey: ourKey})
			n := 0
			dialecttest.Recordings(t, "../..", "google", func(r dialecttest.Recording) {
				n++
				asked := requests[r.ID]
				g.answers(r.Status, asked.Headers, r.Response)
				target, body := change(r.Path, modelOf(r.Path), asked.Request)
				got := g.post(target, body)
				if want := (sent{r.Path, asked.Request, ourKey}); g.sent != want {
					t.Errorf("%s: Google got %.300v, want %.300v", r.ID, g.sent, want)
				}
				if got.status != r.Status || got.body != r.Response || got.contentType != asked.Headers["content-type"] {
					t.Errorf("%s: the client got %d %s with %d bytes, want %d bytes", r.ID, got.status, got.contentType, len(got.body), len(r.Response))
				}
				record := g.record()
				if diff := dialecttest.Differences(record.Usage, r.Want); len(diff) > 0 {
					t.Errorf("%s: [ours, the library's] = %v", r.ID, diff)
				}
				if record.Model != r.Want.Model || record.API != llmproxy.APIGenerateContent || record.Provider != "googleai" ||
					record.Outcome != llmproxy.OutcomeCompleted || record.UsageSource != llmproxy.UsageProvider || record.Inconsistent || record.Unread {
					t.Errorf("%s: record %+v", r.ID, record)
				}
				transport := llmproxy.TransportHTTP
				if strings.Contains(r.Path, ":stream") {
					transport = llmproxy.TransportSSE
				}
				if record.Transport != transport {
					t.Errorf("%s: transport %s, want %s", r.ID, record.Transport, transport)
				}
			})
			if n != 94 {
				t.Errorf("%d recordings, want 94", n)
			}
		})
	}
}

// modelOf returns the model in a path of Google's.
func modelOf(path string) string {
	_, rest, _ := strings.Cut(path, "/models/")
	model, _, _ := strings.Cut(rest, ":")
	model, _ = url.PathUnescape(model)
	return model
}

// A recordedRequest is what dialecttest leaves out of a recording.
type recordedRequest struct {
	ID, Request string
	Headers     map[string]string
}

func recorded(t *testing.T, provider string) map[string]recordedRequest {
	t.Helper()
	f, err := os.Open("../../../shared/recordings/" + provider + ".jsonl")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no recordings beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]recordedRequest{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var r recordedRequest
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all[r.ID] = r
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
