package vertexai_test

import (
	"cmp"
	"net/http"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
	"github.com/llmproxy/llmproxy/providers/vertexai"
)

const (
	ourKey    = "AIza-canary-ours"
	ourToken  = "ya29.canary-ours"
	clientKey = "AIza-canary-client"
)

// newRig returns a gateway in front of Google's service, and a client that has keys and
// cookies.
func newRig(t *testing.T, c vertexai.Config) *providertest.Rig {
	t.Helper()
	g := providertest.New(t, func(baseURL string) (*llmproxy.BaseProvider, error) {
		c.BaseURL = cmp.Or(c.BaseURL, baseURL)
		return vertexai.New(c)
	})
	g.Client = http.Header{"X-Goog-Api-Key": {clientKey}, "Authorization": {"Bearer " + clientKey}, "Cookie": {"k=" + clientKey}}
	return g
}

// sent is what reached Google: the path with its query, the body, the key and the token.
type sent struct{ target, body, key, token string }

func sentOf(r providertest.Result) sent {
	return sent{r.Call.URI, r.Call.Body, strings.Join(r.Call.Header["X-Goog-Api-Key"], ","), strings.Join(r.Call.Header["Authorization"], ",")}
}

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

// What clients asked Vertex AI reaches it byte for byte at the place they named, or else
// at ours, the answer comes back the same, and what it used is on the record.
func TestRecordings(t *testing.T) {
	t.Parallel()
	recordings := providertest.Recordings(t, "vertex")
	if len(recordings) != 31 {
		t.Errorf("%d recordings, want 31", len(recordings))
	}
	for name, change := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, vertexai.Config{
				Name: "vertex", Project: "our-project", Location: "europe-west4", APIVersion: "v1beta1", AccessToken: ourToken,
			})
			for _, r := range recordings {
				model := modelOf(r.Path)
				way := providertest.Way{Name: name}
				way.Target, way.Body = change(r.Path, model, r.Request)
				if !strings.HasPrefix(way.Target, "/vertex/") {
					_, verb, _ := strings.Cut(r.Path, ":")
					way.URI = routed + "/models/" + model + ":" + verb
				}
				got := g.Replay(r, way)
				if s := sentOf(got); s.key != "" || s.token != "Bearer "+ourToken {
					t.Errorf("%s: Google got the key %q and the token %q", r.ID, s.key, s.token)
				}
				outcome, source := llmproxy.OutcomeCompleted, llmproxy.UsageProvider
				if strings.Contains(r.Response, `"blockReason"`) {
					outcome, source = llmproxy.OutcomeIncomplete, llmproxy.UsageNone
				}
				record := got.Record
				if record.Model != model || record.API != llmproxy.APIGenerateContent || record.Provider != "vertex" || record.ServiceTier != "ON_DEMAND" ||
					record.Outcome != outcome || record.UsageSource != source || record.Inconsistent {
					t.Errorf("%s: record %+v", r.ID, record)
				}
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
