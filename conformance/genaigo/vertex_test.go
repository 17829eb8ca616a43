package genaigo

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genai"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/vertexai"
)

const (
	providerToken = "ya29.of-the-gateway"
	clientToken   = "ya29.of-the-client"
)

// vertexSetup is a gateway with a token of its own, which is good until it is refused.
func vertexSetup(opts ...llmproxy.Option) rig.Setup {
	return vertexSetupOf(vertexai.Config{Project: "gateway", Location: "europe-west1", AccessToken: providerToken}, opts...)
}

func vertexSetupOf(c vertexai.Config, opts ...llmproxy.Option) rig.Setup {
	return rig.Setup{
		API:       simulator.Vertex,
		Simulator: simulator.Options{APIKey: providerToken},
		Provider: func(base string) (llmproxy.Provider, error) {
			c := c
			c.BaseURL = base
			return vertexai.New(c)
		},
		Options: opts,
		Agent:   "google-genai-sdk/",
		Secrets: []string{clientToken, clientKey},
		Credential: func(r simulator.Request) string {
			if r.Header.Get("Authorization") != "Bearer "+providerToken || r.Header.Get("X-Goog-Api-Key") != "" {
				return r.Header.Get("X-Goog-Api-Key") + r.Header.Get("Authorization")
			}
			return ""
		},
	}
}

// newVertexSession returns a client of Vertex AI, whose requests have a token.
func newVertexSession(s *rig.Session, token, script string) *session {
	got := newSession(s, "", script, func(c *genai.ClientConfig) {
		c.Backend, c.Project, c.Location = genai.BackendVertexAI, "clients", "us-central1"
		c.HTTPClient = &http.Client{Transport: authorized{c.HTTPClient.Transport, token}}
	})
	got.tier = "ON_DEMAND"
	return got
}

// authorized adds a token to each request, as the libraries of Google Cloud do.
type authorized struct {
	http.RoundTripper
	token string
}

func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+a.token)
	return a.RoundTripper.RoundTrip(r)
}

// mounts are the ways into the gateway for clients of Vertex AI.
var mounts = []rig.Entry{{Name: "mount", Base: "/vertexai"}, {Name: "mount, trailing slash", Base: "/vertexai/"}}

// onVertex runs a scenario with Vertex AI itself, and then through the gateway.
func onVertex(t *testing.T, script string, scenario func(*session)) {
	t.Helper()
	rig.Everywhere(t, mounts, func(t *testing.T, e *rig.Entry) *session {
		if e == nil {
			return newVertexSession(rig.Direct(t, vertexSetup(), ""), providerToken, script)
		}
		return newVertexSession(rig.New(t, vertexSetup()).Enter(*e), clientToken, script)
	}, scenario)
}

// On the mount, the client's project and location stand.
func TestVertex(t *testing.T) {
	t.Parallel()
	for _, q := range questions() {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			onVertex(t, "", func(s *session) {
				for _, streamed := range []bool{false, true} {
					got := q.ask(s, streamed)
					q.answered(s, got)
					want := s.completed(q.model)
					if streamed {
						want = s.streamed(q.model)
					}
					s.recorded(want, got, &q.usage)
				}
				if s.Rig == nil {
					return
				}
				const path = "/v1beta1/projects/clients/locations/us-central1/publishers/google/models/"
				if got := s.Rig.Simulator.Requests()[0].URI; got != path+q.model+":generateContent" {
					s.T.Errorf("the provider was called at %s", got)
				}
			})
		})
	}
}

func TestVertexTools(t *testing.T) {
	t.Parallel()
	onVertex(t, "", func(s *session) {
		q := question{model: third, contents: genai.Text(askForTools), config: genai.GenerateContentConfig{Tools: tools()}}
		got := q.ask(s, true)
		if calls := got.FunctionCalls(); len(calls) != 2 || calls[1].Name != "get_time" {
			s.T.Errorf("called %+v", calls)
		}
		s.recorded(s.streamed(third), got, nil)
	})
}

func TestVertexCountTokens(t *testing.T) {
	t.Parallel()
	onVertex(t, "", func(s *session) {
		got, err := s.Models.CountTokens(s.T.Context(), flash, genai.Text("tell me one thing"), &genai.CountTokensConfig{
			SystemInstruction: genai.NewContentFromText("be brief", genai.RoleUser),
		})
		s.Do(err)
		if got.TotalTokens != 6 {
			s.T.Errorf("%d tokens, want 6", got.TotalTokens)
		}
		s.Recorded(s.exchange(rig.Exchange{Model: flash, Unreported: true}))
	})
}

// A client of the Gemini API is served by Vertex AI where the prefix says so, in the
// gateway's project.
func TestGeminiClientOnVertex(t *testing.T) {
	t.Parallel()
	for _, q := range questions() {
		for _, e := range []rig.Entry{{Name: "by the model"}, {Name: "by its name", Prefix: "vertexai/"}} {
			t.Run(q.name+"/"+e.Name, func(t *testing.T) {
				t.Parallel()
				s := newSession(rig.New(t, vertexSetup()).Enter(e), clientKey, "")
				s.tier = "ON_DEMAND"
				got := q.ask(s, false)
				q.answered(s, got)
				s.recorded(s.completed(q.model), got, &q.usage)
				got = q.ask(s, true)
				q.answered(s, got)
				s.recorded(s.streamed(q.model), got, &q.usage)
				s.Settled()
				const path = "/v1/projects/gateway/locations/europe-west1/publishers/google/models/"
				if got := s.Rig.Simulator.Requests()[1].URI; got != path+q.model+":streamGenerateContent?alt=sse" {
					t.Errorf("the provider was called at %s", got)
				}
			})
		}
	}
}

// The provider's errors arrive as they are.
func TestVertexErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		script, model string
		code          int
		status        string
	}{
		{"", "gemini-none", 404, "NOT_FOUND"},
		{"status=400", flash, 400, "INVALID_ARGUMENT"},
		{"status=429,retry-after=31", flash, 429, "RESOURCE_EXHAUSTED"},
		{"status=500", flash, 500, "INTERNAL"},
		{"status=503", flash, 503, "UNAVAILABLE"},
	} {
		for how, ask := range calls {
			t.Run(tt.script+tt.model+"/"+how, func(t *testing.T) {
				t.Parallel()
				onVertex(t, tt.script, func(s *session) {
					s.refusal(ask(s, tt.model), tt.code, tt.status)
					s.tier = ""
					s.Recorded(s.failed(tt.model, tt.code, tt.status, map[int]string{404: "404", 400: "400", 429: "429", 500: "500", 503: "503"}[tt.code]))
				})
			})
		}
	}
}

// A token of the gateway that the provider refuses, or that there is none of, is no fault
// of the client's.
func TestVertexCredential(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]vertexai.Config{
		"refused": {Project: "gateway", AccessToken: "ya29.expired-long-ago"},
		"none":    {Project: "gateway", Credentials: noToken{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newVertexSession(rig.New(t, vertexSetupOf(c)).Enter(mounts[0]), clientToken, "")
			for _, ask := range calls {
				got := s.refusal(ask(s, flash), 502, "UNAVAILABLE")
				if !strings.Contains(got.Message, "vertexai") || strings.Contains(got.Message, "ya29") {
					t.Errorf("got %q", got.Message)
				}
				rec := s.Rig.Record()
				if rec.Status != 502 || rec.Outcome != llmproxy.OutcomeError || rec.Error == nil || rec.Error.Code != "provider_auth" {
					t.Errorf("record %+v", rec)
				}
			}
		})
	}
}

// noToken is a source that has nothing to give.
type noToken struct{}

func (noToken) Token(context.Context) (string, time.Time, error) {
	return "", time.Time{}, errors.New("ya29 is out")
}
