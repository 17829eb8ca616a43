package googleai_test

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/googleai"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
)

const (
	ourKey    = "AIza-canary-ours"
	clientKey = "AIza-canary-client"
)

// newRig returns a gateway in front of Google's service, unless c says where that is, and
// a client that has keys and cookies.
func newRig(t *testing.T, c googleai.Config, opts ...llmproxy.Option) *providertest.Rig {
	t.Helper()
	g := providertest.New(t, func(baseURL string) (*llmproxy.BaseProvider, error) {
		c.BaseURL = cmp.Or(c.BaseURL, baseURL)
		return googleai.New(c)
	}, opts...)
	g.Client = http.Header{"X-Goog-Api-Key": {clientKey}, "Authorization": {"Bearer " + clientKey}, "Cookie": {"k=" + clientKey}}
	return g
}

// sent is what reached Google: the path with its query, the body and the key.
type sent struct{ target, body, key string }

func sentOf(r providertest.Result) sent {
	return sent{r.Call.URI, r.Call.Body, strings.Join(r.Call.Header["X-Goog-Api-Key"], ",")}
}

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
	recordings := providertest.Recordings(t, "google")
	if len(recordings) != 94 {
		t.Errorf("%d recordings, want 94", len(recordings))
	}
	for name, change := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, googleai.Config{APIKey: ourKey})
			for _, r := range recordings {
				target, body := change(r.Path, modelOf(r.Path), r.Request)
				got := g.Replay(r, providertest.Way{Name: name, Target: target, Body: body})
				if key := sentOf(got).key; key != ourKey {
					t.Errorf("%s: Google got the key %q", r.ID, key)
				}
				transport := llmproxy.TransportHTTP
				if strings.Contains(r.Path, ":stream") {
					transport = llmproxy.TransportSSE
				}
				record := got.Record
				if record.Model != r.Want.Model || record.API != llmproxy.APIGenerateContent || record.Provider != "googleai" || record.Transport != transport ||
					record.Outcome != llmproxy.OutcomeCompleted || record.UsageSource != llmproxy.UsageProvider || record.Inconsistent {
					t.Errorf("%s: record %+v", r.ID, record)
				}
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
