package azure_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/azure"
	"github.com/llmproxy/llmproxy/wire"
)

const (
	dated = "2024-10-21"
	root  = "https://r.openai.azure.com"
)

// post is an exchange off the mount.
func post(api llmproxy.APIType, path, model, query string) *llmproxy.Exchange {
	return &llmproxy.Exchange{
		Method: http.MethodPost, RawQuery: query,
		Operation: llmproxy.Operation{API: api, Path: path}, Meta: llmproxy.BodyMetadata{Model: model},
	}
}

// named is an exchange at /openai/deployments/name, as the router makes it.
func named(api llmproxy.APIType, name, tail, query string) *llmproxy.Exchange {
	const before = "/openai/deployments/"
	x := post(api, before+name+tail, name, query)
	x.Operation.ModelAt = wire.Span{Start: len(before), End: len(before) + len(name)}
	return x
}

func mounted(path string) *llmproxy.Exchange {
	return &llmproxy.Exchange{Method: http.MethodPost, Operation: llmproxy.Operation{Path: path, Mount: true}}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	const (
		chat   = llmproxy.APIChatCompletions
		atChat = "/chat/completions"
	)
	newer, older := azure.Config{Resource: "r"}, azure.Config{Resource: "r", APIVersion: dated}
	preview, fixed := azure.Config{Resource: "r", APIVersion: "preview"}, azure.Config{Resource: "r", APIVersion: dated, Deployment: "my gpt/4"}
	renamed := named(chat, "azure%2Fgpt-4o", atChat, "api-version=2024-02-01")
	renamed.Route.Model = "gpt-4o"
	get := post(chat, atChat, "", "")
	get.Method = http.MethodGet
	for _, tt := range []struct {
		name   string
		config azure.Config
		x      *llmproxy.Exchange
		want   string
	}{
		{"chat at v1", newer, post(chat, atChat, "d", ""), root + "/openai/v1/chat/completions"},
		{"Responses at v1", newer, post(llmproxy.APIResponses, "/responses/resp_1/cancel", "", ""), root + "/openai/v1/responses/resp_1/cancel"},
		{"embeddings at v1", newer, post(llmproxy.APIEmbeddings, "/embeddings", "d", "x=1"), root + "/openai/v1/embeddings"},
		{"images at v1", newer, post(llmproxy.APIImages, "/images/generations", "d", ""), root + "/openai/v1/images/generations"},
		{"models at v1", newer, post("models", "/models", "", ""), root + "/openai/v1/models"},
		{"chat at v1, preview", preview, post(chat, atChat, "d", ""), root + "/openai/v1/chat/completions?api-version=preview"},
		{"chat at v1, the client's own version", preview, post(chat, atChat, "d", "api-version=v1"), root + "/openai/v1/chat/completions"},

		{"chat by deployment", older, post(chat, atChat, "gpt-4o", ""), root + "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"},
		{"completions by deployment", older, post(llmproxy.APICompletions, "/completions", "d", ""), root + "/openai/deployments/d/completions?api-version=2024-10-21"},
		{"embeddings by deployment", older, post(llmproxy.APIEmbeddings, "/embeddings", "d", ""), root + "/openai/deployments/d/embeddings?api-version=2024-10-21"},
		{"images by deployment", older, post(llmproxy.APIImages, "/images/generations", "d", ""), root + "/openai/deployments/d/images/generations?api-version=2024-10-21"},
		{"a deployment is one segment", older, post(chat, atChat, "a/b c%?é", ""), root + "/openai/deployments/a%2Fb%20c%25%3F%C3%A9/chat/completions?api-version=2024-10-21"},
		{"Responses of the resource", older, post(llmproxy.APIResponses, "/responses", "d", ""), root + "/openai/responses?api-version=2024-10-21"},
		{"files of the resource", older, post("files", "/files/f%2F1/content", "", ""), root + "/openai/files/f%2F1/content?api-version=2024-10-21"},
		{"a list of chats", older, get, root + "/openai/chat/completions?api-version=2024-10-21"},
		{"the client's own version", older, post(chat, atChat, "d", "api-version=2025-01-01-preview&x=1"), root + "/openai/deployments/d/chat/completions"},
		{"the client's own version, escaped", older, post(chat, atChat, "d", "x=1&api%2Dversion=2025-01-01-preview"), root + "/openai/deployments/d/chat/completions"},
		{"one deployment for all", fixed, post(chat, atChat, "gpt-4o", ""), root + "/openai/deployments/my%20gpt%2F4/chat/completions?api-version=2024-10-21"},
		{"one deployment for an upload", fixed, post("audio", "/audio/transcriptions", "", ""), root + "/openai/deployments/my%20gpt%2F4/audio/transcriptions?api-version=2024-10-21"},
		{"one deployment, but not for Responses", fixed, post(llmproxy.APIResponses, "/responses", "gpt-4o", ""), root + "/openai/responses?api-version=2024-10-21"},

		{"a named deployment", older, named(chat, "gpt-4o", atChat, ""), root + "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"},
		{"a named deployment and version", older, named(chat, "gpt-4o", atChat, "api-version=2024-02-01"), root + "/openai/deployments/gpt-4o/chat/completions"},
		{"a named deployment beside v1", newer, named(chat, "gpt-4o", atChat, "api-version=2024-02-01"), root + "/openai/deployments/gpt-4o/chat/completions"},
		{"a named deployment before one for all", fixed, named(llmproxy.APIEmbeddings, "e", "/embeddings", ""), root + "/openai/deployments/e/embeddings?api-version=2024-10-21"},
		{"a named deployment of an opaque body", older, post("", "/openai/deployments/w/audio/translations", "", ""), root + "/openai/deployments/w/audio/translations?api-version=2024-10-21"},
		{"a prefix that was cut", newer, renamed, root + "/openai/deployments/gpt-4o/chat/completions"},

		{"the mount stands", older, mounted("/openai/deployments/d/chat/completions"), root + "/openai/deployments/d/chat/completions"},
		{"the mount stands at v1", older, mounted("/openai/v1/responses"), root + "/openai/v1/responses"},
		{"anything on the mount", fixed, mounted("/models/chat/completions"), root + "/models/chat/completions"},

		{"Claude", newer, post(llmproxy.APIMessages, "/messages", "claude-sonnet-4-5", ""), "https://r.services.ai.azure.com/anthropic/v1/messages"},
		{"Claude, whatever the version", older, post(llmproxy.APIMessages, "/messages/count_tokens", "c", "beta=true"), "https://r.services.ai.azure.com/anthropic/v1/messages/count_tokens"},
		{"Claude on the mount", older, mounted("/anthropic/v1/messages"), "https://r.services.ai.azure.com/anthropic/v1/messages"},
	} {
		p, err := azure.New(tt.config)
		if err != nil {
			t.Fatal(err)
		}
		if u, err := p.Resolve(tt.x); err != nil || u.String() != tt.want {
			t.Errorf("%s: got %v, %v, want %s", tt.name, u, err, tt.want)
		}
	}
}

// A base URL means the same with and without the paths that Azure has below it, and with
// a slash at its end.
func TestBaseURLSpellings(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"https://r.openai.azure.com", "https://r.services.ai.azure.com", "http://127.0.0.1:8080", "https://host/behind/a%2Fproxy"} {
		for _, tail := range []string{"", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1//"} {
			for _, tt := range []struct {
				x    *llmproxy.Exchange
				want string
			}{
				{post(llmproxy.APIChatCompletions, "/chat/completions", "d", ""), base + "/openai/v1/chat/completions"},
				{named(llmproxy.APIChatCompletions, "d", "/chat/completions", ""), base + "/openai/deployments/d/chat/completions"},
				{mounted("/openai/v1/files"), base + "/openai/v1/files"},
			} {
				p, err := azure.New(azure.Config{BaseURL: base + tail})
				if err != nil {
					t.Fatal(err)
				}
				if u, err := p.Resolve(tt.x); err != nil || u.String() != tt.want {
					t.Errorf("%s: got %v, %v, want %s", base+tail, u, err, tt.want)
				}
			}
		}
	}
}

// Claude is at Foundry's own address, or nowhere.
func TestClaudeByAddress(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://r.services.ai.azure.com/openai/v1/":     "https://r.services.ai.azure.com/anthropic/v1/messages",
		"https://r.services.ai.azure.com":                "https://r.services.ai.azure.com/anthropic/v1/messages",
		"https://r.openai.azure.com":                     "",
		"http://127.0.0.1:1/services.ai.azure.com":       "",
		"https://services.ai.azure.com.example/openai":   "",
		"https://r.services.ai.azure.com:8443/x/openai/": "https://r.services.ai.azure.com:8443/x/anthropic/v1/messages",
	} {
		p, err := azure.New(azure.Config{BaseURL: base})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := p.API(llmproxy.APIMessages); ok != (want != "") {
			t.Errorf("%s: speaks Messages: %v", base, ok)
		}
		if want == "" {
			continue
		}
		if u, err := p.Resolve(post(llmproxy.APIMessages, "/messages", "c", "")); err != nil || u.String() != want {
			t.Errorf("%s: got %v, %v, want %s", base, u, err, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	p, err := azure.New(azure.Config{Resource: "r", APIVersion: dated})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ model, path, want string }{
		{"", "/audio/transcriptions", "the request names no model, and the provider has no deployment of its own: post to /openai/deployments/NAME/audio/transcriptions"},
		{"..", "/chat/completions", "the model is no name of a deployment"},
		{".", "/embeddings", "the model is no name of a deployment"},
	} {
		u, err := p.Resolve(post("", tt.path, tt.model, ""))
		if e, ok := errors.AsType[*llmproxy.Error](err); !ok || u != nil || e.Status != http.StatusBadRequest || e.Message != tt.want {
			t.Errorf("%q at %s: got %v, %v, want %s", tt.model, tt.path, u, err, tt.want)
		}
	}
}
