package keys_test

import (
	"bytes"
	"context"
	"encoding/json"
	"mime/multipart"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/keys"
	"github.com/llmproxy/llmproxy/providers/openai"
	"github.com/llmproxy/llmproxy/wire"
)

func TestAllowedModelsAndProviders(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	_, models := r.key(keys.Key{Models: []string{"gpt-4o*", "anthropic/claude-haiku*"}})
	_, providers := r.key(keys.Key{Providers: []string{"anth*"}})
	_, all := r.key(keys.Key{})
	const ask = `"messages":[{"role":"user","content":"hi"}],"max_tokens":9`
	for _, tt := range []struct {
		name, secret, path, body string
		status                   int
		want                     string
	}{
		{"a model", models, "/v1/chat/completions", `{"model":"gpt-4o-mini",` + ask + `}`, 200, "You said"},
		{"with its provider", models, "/v1/chat/completions", `{"model":"openai/gpt-4o-mini",` + ask + `}`, 200, "You said"},
		{"of a pattern with a provider", models, "/v1/messages", `{"model":"claude-haiku-4-5",` + ask + `}`, 200, "You said"},
		{"another model", models, "/v1/chat/completions", `{"model":"o3",` + ask + `}`, 403, `the gateway key may not use the model \"o3\"`},
		{"another, in front of which the client writes", models, "/v1/chat/completions", `{"model":"openai/o3",` + ask + `}`, 403, "model_not_allowed"},
		{"another, on a mount", models, "/openai/v1/chat/completions", `{"model":"o3",` + ask + `}`, 403, "model_not_allowed"},
		{"another of a provider", models, "/v1/messages", `{"model":"claude-opus-4-5",` + ask + `}`, 403, `"type":"permission_error"`},
		{"at another provider", models, "/openai/v1/chat/completions", `{"model":"claude-haiku-4-5",` + ask + `}`, 403, "model_not_allowed"},
		{"one more to fall back on", models, "/v1/chat/completions", `{"model":"gpt-4o","models":["gpt-4o-mini","o3"],` + ask + `}`, 403, `\"o3\"`},
		{"one more, said twice", models, "/v1/chat/completions", `{"model":"gpt-4o","fallbacks":[],"fallb\u0061cks":[{"model":"o3"}],` + ask + `}`, 403, `\"o3\"`},
		{"of a tool", models, "/v1/messages", `{"model":"claude-haiku-4-5","tools":[{"type":"advisor","name":"advisor","model":"claude-opus-4-5"}],` + ask + `}`, 403, `claude-opus-4-5`},
		{"no model", models, "/v1/chat/completions", `{` + ask + `}`, 403, "names none that can be read"},
		{"about a model", models, "/v1/models/o3", "", 403, "model_not_allowed"},
		{"the list of models", models, "/v1/models", "", 200, "gpt-4o"},
		{"a provider", providers, "/v1/messages", `{"model":"claude-haiku-4-5",` + ask + `}`, 200, "You said"},
		{"another provider", providers, "/v1/chat/completions", `{"model":"gpt-4o",` + ask + `}`, 403, `the gateway key may not use the provider \"openai\"`},
		{"another provider's mount", providers, "/openai/v1/models", "", 403, "provider_not_allowed"},
		{"anything", all, "/v1/chat/completions", `{"model":"gpt-4.1",` + ask + `}`, 200, "You said"},
	} {
		method := "POST"
		if tt.body == "" {
			method = "GET"
		}
		a := r.do(method, tt.path, tt.secret, tt.body)
		a.want(t, tt.name, tt.status, tt.want)
		if rec := <-r.records; tt.status == 403 && (rec.Outcome != llmproxy.OutcomeRejected || rec.CostState != llmproxy.CostFree || len(rec.Attempts) != 0) {
			t.Errorf("%s: the record is %+v", tt.name, rec)
		}
	}
}

// An alias that the operator has made is allowed by its name, wherever it leads; and each
// attempt is looked at.
func TestAllowedAlias(t *testing.T) {
	t.Parallel()
	p, err := openai.New(openai.Config{APIKey: "x"})
	if err != nil {
		t.Fatal(err)
	}
	ring, k, _ := ringOf(t, keys.Key{Models: []string{"fast"}})
	a := &keys.Access{Keys: ring}
	x := &llmproxy.Exchange{
		Method: "POST", Caller: llmproxy.Caller{Key: k.ID}, Meta: llmproxy.BodyMetadata{Model: "fast"},
		Operation: llmproxy.Operation{API: llmproxy.APIChatCompletions, JSON: true, Metered: true},
		Route:     llmproxy.Route{Provider: p, Model: "gpt-5-mini"},
	}
	next := func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) {
		return &llmproxy.Reply{StatusCode: 200}, nil
	}
	if _, err := a.Intercept(t.Context(), x, next); err != nil {
		t.Errorf("the alias: %v", err)
	}
	x.Meta.Model = "fast/gpt-5-mini" // a prefix, and no alias
	if _, err := a.Intercept(t.Context(), x, next); err == nil {
		t.Error("a provider with the alias' name")
	}
}

func TestEndpointsThatCannotBeMetered(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{}, func(r *rig) { r.access.Owners = nil })
	_, budget := r.key(keys.Key{Budget: 100 * dollar, Per: keys.Total})
	_, models := r.key(keys.Key{Models: []string{"*"}})
	_, granted := r.key(keys.Key{Models: []string{"*"}, Budget: 100 * dollar, Per: keys.PerDay, Unmetered: true})
	_, free := r.key(keys.Key{})
	for _, tt := range []struct {
		method, path string
		refused      bool
	}{
		{"POST", "/v1/fine_tuning/jobs", true},
		{"GET", "/v1/fine_tuning/jobs/ftjob-1", false},
		{"POST", "/v1/videos", true},
		{"POST", "/v1/audio/speech", true},
		{"POST", "/v1/batches", true},
		{"POST", "/v1/vector_stores", true},
		{"DELETE", "/v1/models/ft:gpt-5", true},
		{"POST", "/v1/messages/batches", true},
		{"POST", "/openai/v1/organization/admin_api_keys", true},
		{"GET", "/openai/v1/organization/costs", true},
		{"POST", "/anthropic/v1/complete", true},
		{"POST", "/v1/moderations", false},
		{"GET", "/v1/models", false},
		{"GET", "/v1/files/file-1", false},
		{"POST", "/v1/responses/resp_1/cancel", false},
	} {
		for name, secret := range map[string]string{"budget": budget, "models": models, "granted": granted, "free": free} {
			a := r.do(tt.method, tt.path, secret, "")
			want := tt.refused && (name == "budget" || name == "models")
			if got := a.status == 403 && strings.Contains(a.body, "the gateway cannot meter this endpoint"); got != want {
				t.Errorf("%s %s with the key %s: refused: %t, want %t (%d %s)", tt.method, tt.path, name, got, want, a.status, a.body)
			}
		}
	}
}

// What is created with one key is nobody else's.
func TestResponsesOfTenants(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{}, func(r *rig) { r.access.Share = "team" })
	_, own := r.key(keys.Key{Tags: map[string]string{"team": "a"}})
	_, mate := r.key(keys.Key{Tags: map[string]string{"team": "a"}})
	_, other := r.key(keys.Key{Tags: map[string]string{"team": "b"}})
	_, alone := r.key(keys.Key{})
	id := func(a answer) string {
		t.Helper()
		text := []byte(a.body)
		if i := bytes.Index(text, []byte(`"response":`)); i >= 0 && text[0] != '{' {
			text = text[i+len(`"response":`):]
		}
		id, ok := wire.String(wire.Member(text, "id"))
		if a.status != 200 || !ok {
			t.Fatalf("no response: %d %s", a.status, a.body)
		}
		return id
	}
	for name, body := range map[string]string{
		"JSON":       `{"model":"gpt-5","input":"one"}`,
		"stream":     `{"model":"gpt-5","input":"two","stream":true}`,
		"background": `{"model":"gpt-5","input":"three","background":true}`,
	} {
		resp := id(r.do("POST", "/v1/responses", own, body))
		next := func(secret string) answer {
			return r.do("POST", "/v1/responses", secret, `{"model":"gpt-5","input":"more","previous_response_id":"`+resp+`"}`)
		}
		for _, stranger := range []string{other, alone} {
			for _, path := range []string{"/v1/responses/" + resp, "/openai/v1/responses/" + resp, "/openai/v1/%72esponses/" + resp, "/v1/responses/" + resp + "/input_items"} {
				r.do("GET", path, stranger, "").want(t, name+": GET "+path, 404, "nothing with this id was made with this gateway key")
			}
			r.do("POST", "/v1/responses/"+resp+"/cancel", stranger, "").want(t, name+": cancel", 404, "not_found")
			r.do("DELETE", "/v1/responses/"+resp, stranger, "").want(t, name+": DELETE", 404, "not_found")
			next(stranger).want(t, name+": continue", 400, `"previous_response_not_found"`)
		}
		for _, friend := range []string{own, mate} {
			if a := r.do("GET", "/v1/responses/"+resp, friend, ""); a.status != 200 {
				t.Errorf("%s: GET by who may: %d %s", name, a.status, a.body)
			}
			if a := next(friend); a.status != 200 {
				t.Errorf("%s: continued by who may: %d %s", name, a.status, a.body)
			}
		}
		r.do("DELETE", "/v1/responses/"+resp, mate, "").want(t, name+": DELETE by who may", 200, "deleted")
	}
	unknown := r.do("GET", "/v1/responses/resp_unknown", own, "")
	unknown.want(t, "unknown", 404, "nothing with this id was made with this gateway key")
	r.access.AllowUnknown = true
	if a := r.do("GET", "/v1/responses/resp_unknown", own, ""); strings.Contains(a.body, "gateway key") {
		t.Errorf("unknown, and allowed: %d %s", a.status, a.body)
	}
}

func TestFilesOfTenants(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	_, own := r.key(keys.Key{})
	_, other := r.key(keys.Key{})
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("purpose", "user_data")
	part, err := form.CreateFormFile("file", "a.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write([]byte("secret plans"))
	_ = form.Close()
	a := r.do("POST", "/v1/files", own, body.String(), "Content-Type", form.FormDataContentType())
	file, _ := wire.String(wire.Member([]byte(a.body), "id"))
	if a.status != 200 || file == "" {
		t.Fatalf("upload: %d %s", a.status, a.body)
	}
	r.do("GET", "/v1/files/"+file+"/content", own, "").want(t, "its owner's", 200, "secret plans")
	for _, path := range []string{"/v1/files/" + file, "/v1/files/" + file + "/content", "/openai/v1/Files/" + file} {
		r.do("GET", path, other, "").want(t, path, 404, "nothing with this id")
	}
	r.do("DELETE", "/v1/files/"+file, other, "").want(t, "DELETE", 404, "nothing with this id")
	r.do("GET", "/v1/files", own, "").want(t, "the list", 403, "listing_not_allowed")
	const ask = `{"model":"gpt-5","input":[{"role":"user","content":[{"type":"input_file","file_id":"`
	r.do("POST", "/v1/responses", other, ask+file+`"}]}]}`).want(t, "as input", 400, "file_not_found")
	if a := r.do("POST", "/v1/responses", own, ask+file+`"}]}]}`); strings.Contains(a.body, "file_not_found") {
		t.Errorf("as its owner's input: %d %s", a.status, a.body)
	}
	r.do("POST", "/v1/responses", other, `{"model":"gpt-5","input":"a","conversation":{"id":"conv_1"}}`).want(t, "a conversation", 400, "conversation_not_found")
}

// socket is a client's WebSocket.
type socket struct {
	t    *testing.T
	conn llmproxy.WSConn
}

func (r *rig) socket(secret string) *socket {
	r.t.Helper()
	conn, resp, err := coderws.Dialer{HandshakeTimeout: patience}.Dial(r.t.Context(), "ws"+strings.TrimPrefix(r.url, "http")+"/v1/responses",
		map[string][]string{"Authorization": {"Bearer " + secret}})
	if err != nil {
		r.t.Fatalf("%v (%+v)", err, resp)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return &socket{r.t, conn}
}

// turn sends a create, and returns the event that ends it.
func (s *socket) turn(create string) (kind, raw string) {
	if err := s.conn.WriteMessage(llmproxy.WSText, []byte(create)); err != nil {
		s.t.Error(err)
		return "", ""
	}
	timer := time.AfterFunc(patience, func() { _ = s.conn.Close() })
	defer timer.Stop()
	for {
		_, p, err := s.conn.ReadMessage()
		if err != nil {
			s.t.Error(err)
			return "", ""
		}
		var e struct{ Type string }
		if err := json.Unmarshal(p, &e); err != nil {
			s.t.Error(err)
			return "", ""
		}
		switch e.Type {
		case "error", "response.completed", "response.incomplete", "response.failed":
			return e.Type, string(p)
		}
	}
}

func TestAccessOnAWebSocket(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	k, secret := r.key(keys.Key{Models: []string{"gpt-5*"}})
	_, other := r.key(keys.Key{})
	s, o := r.socket(secret), r.socket(other)
	kind, raw := s.turn(`{"type":"response.create","model":"gpt-5","input":"hi"}`)
	if kind != "response.completed" {
		t.Fatal(raw)
	}
	id, _ := wire.String(wire.Member(wire.Member([]byte(raw), "response"), "id"))
	if kind, raw := s.turn(`{"type":"response.create","model":"o3","input":"hi"}`); kind != "error" || !strings.Contains(raw, "model_not_allowed") || !strings.Contains(raw, "403") {
		t.Errorf("another model: %s", raw)
	}
	const more = `{"type":"response.create","model":"gpt-5","input":"more","previous_response_id":"`
	if kind, raw := s.turn(more + id + `"}`); kind != "response.completed" {
		t.Errorf("the socket is over after a refusal, or the response is not the key's: %s", raw)
	}
	if kind, raw := o.turn(more + id + `"}`); kind != "error" || !strings.Contains(raw, "previous_response_not_found") || strings.Contains(raw, "message\":\"Previous") {
		t.Errorf("continued with another key: %s", raw)
	}
	if err := r.store.Revoke(t.Context(), k.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := r.ring.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kind, raw := s.turn(`{"type":"response.create","model":"gpt-5","input":"hi"}`); kind != "error" || !strings.Contains(raw, "invalid_api_key") {
		t.Errorf("with a key that was revoked meanwhile: %s", raw)
	}
}
