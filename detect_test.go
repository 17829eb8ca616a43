package llmproxy

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestDetect(t *testing.T) {
	t.Parallel()
	type want struct {
		api      APIType
		path     string
		provider string
		model    string
		json     bool
		metered  bool
		streams  bool
	}
	const jsonType = "application/json"
	for _, tt := range []struct {
		method, target, contentType string
		want                        want
	}{
		// One API, three spellings of its path.
		{"POST", "/chat/completions", "", want{api: "chat_completions", path: "/chat/completions", json: true, metered: true}},
		{"POST", "/v1/chat/completions", "", want{api: "chat_completions", path: "/chat/completions", json: true, metered: true}},
		{"POST", "/v1/v1/chat/completions", "", want{api: "chat_completions", path: "/chat/completions", json: true, metered: true}},
		{"POST", "/v1/chat/completions/", "", want{api: "chat_completions", path: "/chat/completions", json: true, metered: true}},
		{"GET", "/v1/chat/completions/chatcmpl-1/messages", "", want{api: "chat_completions", path: "/chat/completions/chatcmpl-1/messages"}},
		{"POST", "/v1/completions", "", want{api: "completions", path: "/completions", json: true, metered: true}},
		{"POST", "/v1/embeddings", "", want{api: "embeddings", path: "/embeddings", json: true, metered: true}},
		// Everything below responses; literals before ids.
		{"POST", "/v1/responses", "", want{api: "responses", path: "/responses", json: true, metered: true}},
		{"POST", "/v1/responses/compact", "", want{api: "responses", path: "/responses/compact", json: true, metered: true}},
		{"POST", "/v1/responses/input_tokens", "", want{api: "responses", path: "/responses/input_tokens", json: true}},
		{"GET", "/v1/responses/resp_1", "", want{api: "responses", path: "/responses/resp_1"}},
		{"DELETE", "/responses/resp_1", "", want{api: "responses", path: "/responses/resp_1"}},
		{"POST", "/v1/responses/resp_1/cancel", jsonType, want{api: "responses", path: "/responses/resp_1/cancel"}},
		{"GET", "/v1/responses/resp_1/input_items", "", want{api: "responses", path: "/responses/resp_1/input_items"}},
		// Shared paths: read when they carry JSON, else streamed through.
		{"GET", "/v1/models", "", want{api: "models", path: "/models"}},
		{"GET", "/v1/models/meta-llama%2Fx", "", want{api: "models", path: "/models/meta-llama%2Fx", model: "meta-llama/x"}},
		{"POST", "/v1/images/generations", jsonType, want{api: "images", path: "/images/generations", json: true, metered: true}},
		{"POST", "/v1/images/edits", "multipart/form-data; boundary=x", want{api: "images", path: "/images/edits", metered: true}},
		{"POST", "/v1/audio/transcriptions", "multipart/form-data; boundary=x", want{api: "audio", path: "/audio/transcriptions"}},
		{"POST", "/v1/moderations", "application/json; charset=utf-8", want{api: "moderations", path: "/moderations", json: true}},
		{"POST", "/v1/files", "multipart/form-data; boundary=x", want{api: "files", path: "/files"}},
		{"GET", "/v1/files/file-1/content", "", want{api: "files", path: "/files/file-1/content"}},
		// Dialects with paths of their own.
		{"POST", "/v1/messages", "", want{api: "messages", path: "/messages", json: true, metered: true}},
		{"POST", "/v1/messages/count_tokens", "", want{api: "messages", path: "/messages/count_tokens", json: true}},
		{"POST", "/v1beta/models/gemini-3:generateContent", "", want{api: "generate_content", path: "/models/gemini-3:generateContent", model: "gemini-3", json: true, metered: true}},
		{"POST", "/v1beta/models/groq/llama-3.3:streamGenerateContent", "", want{api: "generate_content", path: "/models/groq/llama-3.3:streamGenerateContent", model: "groq/llama-3.3", json: true, metered: true, streams: true}},
		{"POST", "/v1beta/models/gemini-3:countTokens", "", want{api: "generate_content", path: "/models/gemini-3:countTokens", model: "gemini-3", json: true}},
		{"POST", "/v1/models/gemini-3:generateContent", "", want{api: "generate_content", path: "/models/gemini-3:generateContent", model: "gemini-3", json: true, metered: true}},
		{"POST", "/googleai/v1beta/tunedModels/my:generateContent", "", want{api: "generate_content", path: "/v1beta/tunedModels/my:generateContent", provider: "googleai", model: "my", json: true, metered: true}},
		{"POST", "/v1beta/models/google/imagen-4:predict", jsonType, want{api: "generate_content", path: "/models/google/imagen-4:predict", model: "google/imagen-4"}},
		{"POST", "/vertex/v1/projects/p/locations/l/publishers/mistralai/models/m:rawPredict", "", want{api: "models", path: "/v1/projects/p/locations/l/publishers/mistralai/models/m:rawPredict", provider: "vertex"}},
		{"POST", "/model/x/invoke-with-bidirectional-stream", "", want{api: "converse", path: "/model/x/invoke-with-bidirectional-stream"}},
		{"GET", "/v1beta/cachedContents/1", "", want{api: "generate_content", path: "/cachedContents/1"}},
		{"GET", "/v1beta/models/google/gemini-3", "", want{api: "generate_content", path: "/models/google/gemini-3", model: "google/gemini-3"}},
		{"POST", "/model/us.anthropic.claude-v1%3A0/converse-stream", "", want{api: "converse", path: "/model/us.anthropic.claude-v1%3A0/converse-stream", model: "us.anthropic.claude-v1:0", json: true, metered: true, streams: true}},
		{"POST", "/model/arn%3Aaws%3Abedrock%3Aprofile%2Fx/invoke", "", want{api: "invoke_model", path: "/model/arn%3Aaws%3Abedrock%3Aprofile%2Fx/invoke", model: "arn:aws:bedrock:profile/x", json: true, metered: true}},
		{"POST", "/v2/chat", "", want{api: "cohere", path: "/chat", json: true, metered: true}},
		{"POST", "/openai/deployments/my-gpt/chat/completions", "", want{api: "chat_completions", path: "/openai/deployments/my-gpt/chat/completions", model: "my-gpt", json: true, metered: true}},
		// Mounts keep the rest of the path as it stands.
		{"POST", "/groq/openai/v1/chat/completions", "", want{api: "chat_completions", path: "/openai/v1/chat/completions", provider: "groq", json: true, metered: true}},
		{"POST", "/deepseek/beta/chat/completions", "", want{api: "chat_completions", path: "/beta/chat/completions", provider: "deepseek", json: true, metered: true}},
		{"POST", "/openai/v1/responses/compact", "", want{api: "responses", path: "/v1/responses/compact", provider: "openai", json: true, metered: true}},
		{"POST", "/openai/v1/responses/resp_1/cancel", "", want{api: "responses", path: "/v1/responses/resp_1/cancel", provider: "openai"}},
		{"POST", "/openai/v1/images/edits", "multipart/form-data; boundary=x", want{api: "images", path: "/v1/images/edits", provider: "openai", metered: true}},
		{"GET", "/openai/v1/models/a%2Fb", "", want{api: "models", path: "/v1/models/a%2Fb", provider: "openai"}},
		{"POST", "/anthropic/v1/messages?beta=true", "", want{api: "messages", path: "/v1/messages", provider: "anthropic", json: true, metered: true}},
		{"POST", "/anthropic/v1/messages/count_tokens", "", want{api: "messages", path: "/v1/messages/count_tokens", provider: "anthropic", json: true}},
		{"POST", "/anthropic/v1/messages/batches", jsonType, want{api: "messages", path: "/v1/messages/batches", provider: "anthropic"}},
		{"POST", "/googleai/v1beta/models/gemini-3:streamGenerateContent?alt=sse", "", want{api: "generate_content", path: "/v1beta/models/gemini-3:streamGenerateContent", provider: "googleai", model: "gemini-3", json: true, metered: true, streams: true}},
		{"POST", "/vertex/v1/projects/p/locations/l/publishers/anthropic/models/claude-4@20250101:streamRawPredict", "", want{api: "messages", path: "/v1/projects/p/locations/l/publishers/anthropic/models/claude-4@20250101:streamRawPredict", provider: "vertex", model: "claude-4@20250101", json: true, metered: true}},
		{"POST", "/bedrock/model/amazon.nova-v1%3A0/converse", "", want{api: "converse", path: "/model/amazon.nova-v1%3A0/converse", provider: "bedrock", model: "amazon.nova-v1:0", json: true, metered: true}},
		{"POST", "/azure/openai/deployments/d/embeddings?api-version=1", "", want{api: "embeddings", path: "/openai/deployments/d/embeddings", provider: "azure", model: "d", json: true, metered: true}},
		{"POST", "/cohere/v2/rerank", "", want{api: "cohere", path: "/v2/rerank", provider: "cohere", json: true, metered: true}},
		{"POST", "/ollama/api/chat", "", want{api: "ollama", path: "/api/chat", provider: "ollama", json: true, metered: true}},
		{"PUT", "/my-vllm/anything/at%20all/", "", want{path: "/anything/at%20all/", provider: "my-vllm"}},
	} {
		r := httptest.NewRequest(tt.method, tt.target, nil)
		if tt.contentType != "" {
			r.Header.Set("Content-Type", tt.contentType)
		}
		got, err := detect(r, false)
		if err != nil {
			t.Errorf("%s %s: %v", tt.method, tt.target, err)
			continue
		}
		have := want{
			api: got.op.API, path: got.op.Path, provider: got.provider, model: got.model,
			json: got.op.JSON, metered: got.op.Metered, streams: got.streams,
		}
		if have != tt.want {
			t.Errorf("%s %s:\ngot  %+v\nwant %+v", tt.method, tt.target, have, tt.want)
		}
		if got.op.Mount != (tt.want.provider != "") {
			t.Errorf("%s %s: Mount is %t", tt.method, tt.target, got.op.Mount)
		}
	}
}

func TestDetectRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, target string
		status         int
		code           string
	}{
		{"GET", "/favicon.ico", 404, "route_not_found"},
		{"POST", "/v1/unknown/thing", 404, "route_not_found"},
		{"GET", "/v1/realtime", 404, "realtime_not_supported"},
		{"POST", "/realtime/calls", 404, "realtime_not_supported"},
		{"PUT", "/", 404, "route_not_found"},
		{"POST", "/openai/v1/../../admin", 400, "invalid_request"},
		{"POST", "/openai/%2e%2E/admin", 400, "invalid_request"},
		{"GET", "/v1/files/..", 400, "invalid_request"},
		{"POST", "/openai/v1/chat/complet%69ons", 400, "invalid_request"},
		{"POST", "/openai/v1/chat%2fcompletions", 400, "invalid_request"},
		{"POST", "/openai/%76%31/%72esponses", 400, "invalid_request"},
		{"POST", "/v1beta/models/gemini-3%3AgenerateContent", 400, "invalid_request"},
	} {
		_, err := detect(httptest.NewRequest(tt.method, tt.target, nil), false)
		if err == nil || err.Status != tt.status || err.Code != tt.code {
			t.Errorf("%s %s: got %+v, want %d %s", tt.method, tt.target, err, tt.status, tt.code)
		}
	}
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		connection []string
		upgrade    string
		want       bool
	}{
		{[]string{"Upgrade"}, "websocket", true},
		{[]string{"keep-alive, upgrade"}, "WebSocket", true},
		{[]string{"keep-alive", "Upgrade"}, "h2c, websocket", true},
		{[]string{"no-upgrade"}, "websocket", false},
		{[]string{"Upgrade"}, "websocket2", false},
		{nil, "websocket", false},
	} {
		if got := upgrade(http.Header{"Connection": tt.connection, "Upgrade": {tt.upgrade}}); got != tt.want {
			t.Errorf("Connection %q, Upgrade %q: got %t", tt.connection, tt.upgrade, got)
		}
	}
}

// The model of a path is replaced in its place and nowhere else.
func TestUpstreamPath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ target, model, want string }{
		{"/v1beta/models/gemini/gemini-3:generateContent", "gemini-3", "/models/gemini-3:generateContent"},
		{"/v1beta/models/gemini-3:generateContent", "", "/models/gemini-3:generateContent"},
		{"/model/bedrock%2Fus.amazon.nova-v1%3A0/converse-stream", "us.amazon.nova-v1:0", "/model/us.amazon.nova-v1%3A0/converse-stream"},
		{"/model/bedrock/amazon.nova/invoke", "arn:aws:x/y", "/model/arn%3Aaws%3Ax%2Fy/invoke"},
		{"/openai/deployments/azure%2Fd/chat/completions", "../d", "/openai/deployments/..%2Fd/chat/completions"},
		{"/v1/chat/completions", "gpt-5", "/chat/completions"},
		{"/v1/models/openai/gpt-5", "gpt-5", "/models/gpt-5"},
	} {
		got, err := detect(httptest.NewRequest("POST", tt.target, nil), false)
		if err != nil {
			t.Fatal(err)
		}
		x := &Exchange{Operation: got.op, Route: Route{Model: tt.model}, Meta: BodyMetadata{Model: got.model}}
		if path := x.UpstreamPath(); path != tt.want {
			t.Errorf("%s with %s: got %s, want %s", tt.target, tt.model, path, tt.want)
		}
	}
}

func TestUpstreamQuery(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ query, want string }{
		{"key=secret", ""},
		{"alt=sse&key=secret&x=%20", "alt=sse&x=%20"},
		{"k%65y=secret&a=1", "a=1"},
		{"monkey=1&keys=2", "monkey=1&keys=2"},
		{"beta=true", "beta=true"},
		{"access_token=secret&alt=sse", "alt=sse"},
	} {
		got := upstreamQuery(tt.query, Settings{KeyQuery: []string{"key", "access_token"}})
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.query, got, tt.want)
		}
	}
	if got := upstreamQuery("key=own", Settings{KeyQuery: []string{"key"}, ClientKeys: true}); got != "key=own" {
		t.Errorf("with the client's keys: got %s", got)
	}
}
