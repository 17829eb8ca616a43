package vertexai_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/providers/vertexai"
)

// A way is how a client may ask for what a recording asked for: with a path, else by the
// body alone. It returns the client's target and body.
type way func(path, model, body string) (target, sent string)

// routed is where a request goes that does not say which project and location it is for.
const routed = "/v1beta1/projects/our-project/locations/europe-west4/publishers/google"

// below makes the way of a request to Gemini's path, with model in it after prefix.
func below(prefix string) way {
	return func(path, model, body string) (string, string) {
		_, verb, _ := strings.Cut(path, ":")
		return "/v1beta/models/" + prefix + model + ":" + verb, body
	}
}

var ways = map[string]way{
	"on the mount": func(path, _, body string) (string, string) { return "/vertex" + path, body },
	"on the mount, with the key in the query": func(path, _, body string) (string, string) {
		return "/vertex" + path + "?key=" + clientKey, body
	},
	"by the model":              below(""),
	"by its name":               below("vertex/"),
	"by its name, encoded":      below("vertex%2F"),
	"by the publisher":          below("google/"),
	"by its name and publisher": below("vertex/google/"),
	"by the collection":         below("models/"),
	"by the name of a resource": below("publishers%2Fgoogle%2Fmodels%2F"),
	"by the body":               func(_, model, body string) (string, string) { return "/", `{"model":"` + model + `", ` + body[1:] },
	"by the body, and publisher": func(_, model, body string) (string, string) {
		return "/", `{"model":"google/` + model + `", ` + body[1:]
	},
}

func TestRecordings(t *testing.T) {
	t.Parallel()
	requests := recorded(t, "vertex")
	for name, change := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, vertexai.Config{
				Name: "vertex", Project: "our-project", Location: "europe-west4", APIVersion: "v1beta1", AccessToken: ourToken,
			})
			n := 0
			dialecttest.Recordings(t, "../..", "vertex", func(r dialecttest.Recording) {
				n++
				asked := requests[r.ID]
				g.answers(r.Status, asked.Headers, r.Response)
				model := modelOf(r.Path)
				target, body := change(r.Path, model, asked.Request)
				at := r.Path
				if !strings.HasPrefix(target, "/vertex/") {
					_, verb, _ := strings.Cut(r.Path, ":")
					at = routed + "/models/" + model + ":" + verb
				}
				got := g.post(target, body)
				if want := (sent{at, asked.Request, "", "Bearer " + ourToken}); g.sent != want {
					t.Errorf("%s: Google got %.300v, want %.300v", r.ID, g.sent, want)
				}
				if got.status != r.Status || got.body != r.Response || got.contentType != asked.Headers["content-type"] {
					t.Errorf("%s: the client got %d %s with %d bytes, want %d bytes", r.ID, got.status, got.contentType, len(got.body), len(r.Response))
				}
				record := g.record()
				if diff := dialecttest.Differences(record.Usage, r.Want); len(diff) > 0 {
					t.Errorf("%s: [ours, the library's] = %v", r.ID, diff)
				}
				outcome, source := llmproxy.OutcomeCompleted, llmproxy.UsageProvider
				if strings.Contains(r.Response, `"blockReason"`) {
					outcome, source = llmproxy.OutcomeIncomplete, llmproxy.UsageNone
				}
				if record.Model != model || record.API != llmproxy.APIGenerateContent || record.Provider != "vertex" || record.ServiceTier != "ON_DEMAND" ||
					record.Outcome != outcome || record.UsageSource != source || record.Inconsistent || record.Unread {
					t.Errorf("%s: record %+v", r.ID, record)
				}
			})
			if n != 31 {
				t.Errorf("%d recordings, want 31", n)
			}
		})
	}
}

// modelOf returns the model in a path of Vertex AI's.
func modelOf(path string) string {
	_, rest, _ := strings.Cut(path, "/models/")
	model, _, _ := strings.Cut(rest, ":")
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
