package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/keys"
)

// someKeys are keys by their ID, which stands for the secret.
type someKeys map[string]*keys.Key

func (k someKeys) Key(id string) (*keys.Key, bool) {
	key, ok := k[id]
	return key, ok
}

// door lets requests in on behalf of the key that they name.
func (k someKeys) door(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := llmproxy.WithCaller(r.Context(), llmproxy.Caller{Key: r.Header.Get("X-Key")})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// listModels returns a gateway before providers that answer with their own URL, and a
// function that asks it.
func listModels(t *testing.T, text string, parts func(*Parts)) func(method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"model":"m","path":%q}`, r.URL.Path)
	}))
	t.Cleanup(upstream.Close)
	none := func(string) (string, bool) { return "", false }
	c, err := Source{LookupEnv: none}.load("llmproxy.yaml", []byte(strings.ReplaceAll(text, "URL", upstream.URL)))
	if err != nil {
		t.Fatal(err)
	}
	logger := Log{}.logger(io.Discard)
	prices, err := c.prices(logger)
	if err != nil {
		t.Fatal(err)
	}
	p := Parts{Billing: c.billing(prices), Book: prices.Book, Recorder: LogRecorder(logger)}
	if parts != nil {
		parts(&p)
	}
	g, err := New(c, p, logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.transport.(*http.Transport).CloseIdleConnections() })
	return func(method, path, body string, header ...string) (*http.Response, string) {
		t.Helper()
		r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w.Result(), w.Body.String()
	}
}

const severalProviders = `
providers:
  openai: {api_key: k, base_url: "URL/openai/v1"}
  groq: {api_key: k, base_url: "URL/groq"}
  anthropic: {api_key: k, base_url: "URL/anthropic"}
  googleai: {api_key: k, base_url: "URL/googleai"}
  mine: {type: openai_compatible, base_url: "URL/mine", models: ["qwen3-8b", "mine-*", "gpt-5-mini"], prices: {"qwen3-8b": {input: 0.1, output: 0.4}}}
models:
  fast: {targets: [openai/gpt-5-nano, groq/llama-3.3-70b-versatile]}
fallback: groq
`

// page is OpenAI's list.
type page struct {
	Object string
	Data   []struct {
		ID      string
		Object  string
		OwnedBy string `json:"owned_by"`
		Pricing map[string]string
	}
	Limits map[string]any
}

func (p page) ids() (ids []string) {
	for _, m := range p.Data {
		ids = append(ids, m.ID)
	}
	return ids
}

func readPage(t *testing.T, resp *http.Response, body string) (p page) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &p); err != nil || resp.StatusCode != http.StatusOK || p.Object != "list" {
		t.Fatalf("got %s, %s, %v", resp.Status, body, err)
	}
	return p
}

// Every name in the list leads to the provider that the list says.
func TestModelsLead(t *testing.T) {
	t.Parallel()
	ask := listModels(t, severalProviders, nil)
	resp, body := ask("GET", "/v1/models", "")
	p := readPage(t, resp, body)
	if ids := p.ids(); len(ids) < 50 || ids[0] != "fast" {
		t.Fatalf("got %d models, the first %v", len(ids), ids[:min(len(ids), 3)])
	}
	prices := map[string]string{}
	for _, m := range p.Data {
		if m.Object != "model" {
			t.Errorf("%s is a %q", m.ID, m.Object)
		}
		prices[m.ID] = m.Pricing["input"]
		if m.OwnedBy == "anthropic" || m.OwnedBy == "googleai" {
			continue // which do not speak what is asked here
		}
		resp, _ := ask("POST", "/v1/chat/completions", fmt.Sprintf(`{"model":%q,"messages":[]}`, m.ID))
		if got := resp.Header.Get("X-Gateway-Provider"); got != m.OwnedBy {
			t.Errorf("%s leads to %q, and the list says %s", m.ID, got, m.OwnedBy)
		}
	}
	for id, input := range map[string]string{
		"fast": "0.05", "gpt-5": "1.25", "gpt-5-mini": "", "openai/gpt-5-mini": "0.25", "claude-sonnet-4-5": "3", "qwen3-8b": "0.1",
	} {
		if got, ok := prices[id]; !ok || got != input {
			t.Errorf("%s: listed %t, input %q, want %q", id, ok, got, input)
		}
	}
}

// Each dialect has its own form, and the models that can be talked to in it.
func TestModelsForms(t *testing.T) {
	t.Parallel()
	ask := listModels(t, severalProviders, nil)
	var anthropic struct {
		Data    []struct{ Type, ID string }
		HasMore bool   `json:"has_more"`
		FirstID string `json:"first_id"`
		LastID  string `json:"last_id"`
	}
	_, body := ask("GET", "/v1/models?limit=1000", "", "Anthropic-Version", "2023-06-01")
	if err := json.Unmarshal([]byte(body), &anthropic); err != nil || len(anthropic.Data) == 0 {
		t.Fatalf("got %s, %v", body, err)
	}
	for _, m := range anthropic.Data {
		if m.Type != "model" || strings.HasPrefix(m.ID, "gemini") {
			t.Errorf("got %+v", m)
		}
	}
	if n := len(anthropic.Data); anthropic.FirstID != anthropic.Data[0].ID || anthropic.LastID != anthropic.Data[n-1].ID || anthropic.HasMore {
		t.Errorf("from %s to %s", anthropic.FirstID, anthropic.LastID)
	}
	var google struct {
		Models []struct {
			Name    string
			Methods []string `json:"supportedGenerationMethods"`
		}
	}
	_, body = ask("GET", "/v1beta/models", "")
	if err := json.Unmarshal([]byte(body), &google); err != nil || len(google.Models) == 0 {
		t.Fatalf("got %s, %v", body, err)
	}
	found := false
	for _, m := range google.Models {
		found = found || m.Name == "models/gemini-2.5-flash"
		if strings.Contains(m.Name, "claude") || !slices.Contains(m.Methods, "generateContent") {
			t.Errorf("got %+v", m)
		}
	}
	if !found {
		t.Error("gemini-2.5-flash is not in the list")
	}
}

// A key sees what it may ask for, and its limits.
func TestModelsOfKey(t *testing.T) {
	t.Parallel()
	all := someKeys{
		"patterns": {ID: "patterns", Models: []string{"gpt-5-nano", "qwen3-*"}, RPM: 60, TPM: 1000},
		"provider": {ID: "provider", Providers: []string{"min*"}},
		"budget":   {ID: "budget", Models: []string{"gpt-5-mini", "qwen3-8b"}, Budget: 5_000_000_000_000, Per: keys.PerDay},
		"alias":    {ID: "alias", Models: []string{"fast"}},
		"none":     {ID: "none", Models: []string{"no-such"}},
	}
	ask := listModels(t, severalProviders, func(p *Parts) { p.Keys, p.Door = all, all.door })
	for _, tt := range []struct {
		key    string
		want   []string
		limits map[string]any
	}{
		{"patterns", []string{"fast", "gpt-5-nano", "qwen3-8b"}, map[string]any{"rpm": 60.0, "tpm": 1000.0}},
		{"provider", []string{"gpt-5-mini", "qwen3-8b"}, nil},
		// No price is known for the gpt-5-mini of the provider mine.
		{"budget", []string{"openai/gpt-5-mini", "qwen3-8b"}, map[string]any{"budget_usd": "5", "per": "day"}},
		{"alias", []string{"fast"}, nil},
		{"none", nil, nil},
	} {
		resp, body := ask("GET", "/v1/models", "", "X-Key", tt.key)
		p := readPage(t, resp, body)
		if ids := p.ids(); !slices.Equal(ids, tt.want) || fmt.Sprint(p.Limits) != fmt.Sprint(tt.limits) {
			t.Errorf("%s: got %v, limits %v, want %v, %v", tt.key, ids, p.Limits, tt.want, tt.limits)
		}
	}
}

// What is asked of a provider goes to the provider.
func TestModelsOfProvider(t *testing.T) {
	t.Parallel()
	several := listModels(t, severalProviders, nil)
	one := listModels(t, "providers: {openai: {api_key: k, base_url: \"URL/openai/v1\"}}\n", nil)
	for _, tt := range []struct {
		ask    func(method, path, body string, header ...string) (*http.Response, string)
		path   string
		header []string
		want   string
	}{
		{one, "/v1/models", nil, "/openai/v1/models"},
		{several, "/v1/models", []string{"X-Provider", "openai"}, "/openai/v1/models"},
		{several, "/openai/v1/models", nil, "/openai/v1/models"},
		{several, "/v1/models/gpt-5", nil, "/openai/v1/models/gpt-5"},
	} {
		if _, body := tt.ask("GET", tt.path, "", tt.header...); body != fmt.Sprintf(`{"model":"m","path":%q}`, tt.want) {
			t.Errorf("%s %v: got %s", tt.path, tt.header, body)
		}
	}
}
