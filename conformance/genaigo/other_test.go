package genaigo

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/genai"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

const embedding = "gemini-embedding-001"

// The SDK names the model in the path and in each request of the body. It does not show
// the usage, but that is there.
func TestEmbeddings(t *testing.T) {
	t.Parallel()
	everywhere(t, every, "", func(s *session) { s.embed(embedding) })
}

// embed asks for two embeddings.
func (s *session) embed(model string) {
	s.T.Helper()
	got, err := s.Models.EmbedContent(s.T.Context(), s.Model(model), []*genai.Content{
		genai.NewContentFromText("one and", genai.RoleUser), genai.NewContentFromText("two", genai.RoleUser),
	}, &genai.EmbedContentConfig{OutputDimensionality: genai.Ptr[int32](8)})
	s.Do(err)
	if len(got.Embeddings) != 2 || len(got.Embeddings[0].Values) != 8 || got.Embeddings[0].Values[0] == got.Embeddings[1].Values[0] {
		s.T.Errorf("got %+v", got.Embeddings)
	}
	var body struct {
		UsageMetadata genai.GenerateContentResponseUsageMetadata
	}
	s.Do(json.Unmarshal(s.Raw()[0], &body))
	e := s.completed(model)
	e.Usage = &simulator.Usage{Prompt: 3}
	e.Told = &simulator.Usage{Prompt: int64(body.UsageMetadata.PromptTokenCount)}
	s.Recorded(e)
}

// A count of tokens is no usage.
func TestCountTokens(t *testing.T) {
	t.Parallel()
	everywhere(t, every, "", func(s *session) {
		got, err := s.Models.CountTokens(s.T.Context(), s.Model(flash), genai.Text("tell me one thing"), nil)
		s.Do(err)
		if got.TotalTokens != 4 {
			s.T.Errorf("%d tokens, want 4", got.TotalTokens)
		}
		s.Recorded(s.exchange(rig.Exchange{Model: flash, Unreported: true}))
	})
}

// The list of models is Google's by its path.
func TestModels(t *testing.T) {
	t.Parallel()
	everywhere(t, plain, "", func(s *session) {
		page, err := s.Models.List(s.T.Context(), nil)
		s.Do(err)
		if want := simulator.DefaultModels(simulator.Gemini); len(page.Items) != len(want) || page.Items[0].Name != "models/"+want[0].ID {
			s.T.Errorf("got %+v", page.Items)
		}
		want := rig.Exchange{API: llmproxy.APIGenerateContent, Unreported: true}
		if s.Mount {
			want.API = "models"
		}
		s.Recorded(want)
	})
}

// A model is asked for by its name, wherever that leads.
func TestModel(t *testing.T) {
	t.Parallel()
	everywhere(t, every, "", func(s *session) {
		got, err := s.Models.Get(s.T.Context(), s.Model(flash), nil)
		s.Do(err)
		if got.Name != "models/"+flash || got.InputTokenLimit == 0 {
			s.T.Errorf("got %+v", got)
		}
		want := s.exchange(rig.Exchange{Model: flash, Unreported: true})
		if s.Mount { // there the path is the provider's
			want = rig.Exchange{API: "models", Unreported: true}
		}
		s.Recorded(want)
	})
}

// Without alt=sse, a stream is one array that comes element by element. The SDK never
// asks for it, but knows its elements.
func TestArrayStream(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"", "piece", "piece=7", "gzip", "events=500"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			everywhere(t, some, script, func(s *session) {
				elements, err := io.ReadAll(s.array(script))
				s.Do(err)
				var chunks []*genai.GenerateContentResponse
				s.Do(json.Unmarshal(elements, &chunks))
				text := ""
				for _, chunk := range chunks {
					text += chunk.Text()
				}
				last := chunks[len(chunks)-1]
				if !strings.HasPrefix(text, "You said: tell me one thing") || len(chunks) < 7 {
					s.T.Errorf("got %q in %d chunks", text, len(chunks))
				}
				s.recorded(s.completed(flash), last, &simulator.Usage{Prompt: 4, Completion: int64(len(chunks) - 1)})
			})
		})
	}
}

// array asks for a stream without alt=sse, and returns its body.
func (s *session) array(script string) io.ReadCloser {
	s.T.Helper()
	model := s.Model(flash)
	if !strings.HasPrefix(model, "models/") {
		model = "models/" + model
	}
	r, err := http.NewRequestWithContext(s.T.Context(), http.MethodPost, strings.TrimSuffix(s.URL, "/")+"/v1beta/"+model+":streamGenerateContent",
		strings.NewReader(`{"contents":[{"parts":[{"text":"tell me one thing"}]}]}`))
	s.Do(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "google-genai-sdk/none")
	r.Header.Set("X-Goog-Api-Key", s.ClientConfig().APIKey)
	r.Header.Set("X-Simulate", script)
	resp, err := s.Session.Client.Do(r)
	s.Do(err)
	s.T.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		s.T.Fatalf("got %s", resp.Status)
	}
	return resp.Body
}

// Each element comes when the provider has sent it.
func TestArrayStreamFlows(t *testing.T) {
	t.Parallel()
	for _, e := range every {
		s := enter(t, setup(), e, "")
		body := s.array("hang=3")
		decoder := json.NewDecoder(body)
		_, err := decoder.Token() // [
		s.Do(err)
		for _, want := range []string{"You", " said:", " tell"} {
			var chunk genai.GenerateContentResponse
			s.Do(decoder.Decode(&chunk))
			if chunk.Text() != want {
				t.Errorf("%s: got %q, want %q", e.Name, chunk.Text(), want)
			}
		}
		s.Do(body.Close())
		s.Departed()
		want := s.completed(flash)
		want.Status, want.Outcome, want.Usage, want.Source = 499, llmproxy.OutcomeCancelled, &simulator.Usage{Prompt: 4, Completion: 3}, llmproxy.UsagePartial
		s.Recorded(want)
		s.Settled()
	}
}

// A key in the query goes no further than one in a header.
func TestKeyInTheQuery(t *testing.T) {
	t.Parallel()
	for _, e := range every {
		s := enter(t, setup(), e, "", func(c *genai.ClientConfig) {
			c.HTTPClient = &http.Client{Transport: keyInQuery{c.HTTPClient.Transport}}
		})
		for _, streamed := range []bool{false, true} {
			q := questions()[0]
			got := q.ask(s, streamed)
			want := s.completed(flash)
			if streamed {
				want = s.streamed(flash)
			}
			s.recorded(want, got, &q.usage)
		}
		s.Settled()
		for i, want := range []string{"", "alt=sse"} {
			if _, query, _ := strings.Cut(s.Rig.Simulator.Requests()[i].URI, "?"); query != want {
				t.Errorf("%s: the provider got the query %q, want %q", e.Name, query, want)
			}
		}
	}
}

// keyInQuery moves the key of a request from its header to its query.
type keyInQuery struct{ http.RoundTripper }

func (k keyInQuery) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	query := r.URL.Query()
	query.Set("key", r.Header.Get("X-Goog-Api-Key"))
	r.URL.RawQuery = query.Encode()
	r.Header.Del("X-Goog-Api-Key")
	return k.RoundTripper.RoundTrip(r)
}

// The SDK shows the header of an answer, and so what the gateway adds.
func TestHeader(t *testing.T) {
	t.Parallel()
	s := enter(t, setup(), rig.Entry{Prefix: "google/"}, "")
	q := questions()[2]
	got := q.ask(s, false)
	rec := s.Rig.Record()
	for name, want := range map[string]string{
		"X-Gateway-Request-Id":        rec.ID,
		"X-Gateway-Provider":          "googleai",
		"X-Gateway-Model":             thinker,
		"X-Gateway-Prompt-Tokens":     "1",
		"X-Gateway-Completion-Tokens": "67",
		"X-Gemini-Service-Tier":       "standard",
	} {
		if got := got.SDKHTTPResponse.Headers.Get(name); got != want || want == "" {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// What the SDK adds to bodies, and what it puts there for the caller, arrives.
func TestUnknownMembers(t *testing.T) {
	t.Parallel()
	s := enter(t, setup(), rig.Entry{Prefix: "google/"}, "status=400")
	_, err := s.Models.GenerateContent(t.Context(), s.Model(flash), genai.Text("hello"), &genai.GenerateContentConfig{
		HTTPOptions: &genai.HTTPOptions{ExtraBody: map[string]any{"nobodyKnowsThis": []int{1}}},
	})
	s.refusal(err, 400, "INVALID_ARGUMENT")
	if body := s.Rig.Simulator.Requests()[0].Body; !bytes.Contains(body, []byte(`"nobodyKnowsThis":[1]`)) {
		t.Errorf("the provider got %s", body)
	}
}
