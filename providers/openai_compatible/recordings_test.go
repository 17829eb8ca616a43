package openai_compatible_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// What clients sent to the services reaches them through us at the same path and byte
// for byte, but for include_usage where the service needs it, both on the ordinary paths
// and on the mount.
func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		typ          string
		includeUsage int // requests that must get it
	}{
		{"openai", 5},
		{"deepseek", 1},
		{"groq", 0},
		{"mistral", 0},
		{"openrouter", 0},
		{"together", 0},
		{"cerebras", 0},
	} {
		t.Run(tt.typ, func(t *testing.T) {
			t.Parallel()
			p, _ := openai_compatible.Lookup(tt.typ)
			send := router(t, openai_compatible.Config{Type: tt.typ, BaseURL: "http://host"})
			var ordinary, mounted int
			for _, r := range providertest.Recordings(t, tt.typ) {
				if r.Method != http.MethodPost {
					continue
				}
				count := func(path string, n *int) {
					got := send(path, r.Request)
					switch {
					case got == sent{"http://host" + r.Path, r.Request}:
					case got.url == "http://host"+r.Path && withIncludeUsage(t, r.Request, got.body):
						*n++
					default:
						t.Errorf("%s to %s: got %v, want %s with the client's body", r.ID, path, got, r.Path)
					}
				}
				if path, ok := strings.CutPrefix(r.Path, p.APIPath); ok && !strings.HasPrefix(path, "/beta/") {
					count("/v1"+path, &ordinary)
				} else {
					count("/"+tt.typ+r.Path, &ordinary)
				}
				count("/"+tt.typ+r.Path, &mounted)
			}
			if ordinary != tt.includeUsage || mounted != tt.includeUsage {
				t.Errorf("%d requests got include_usage, %d on the mount, want %d", ordinary, mounted, tt.includeUsage)
			}
		})
	}
}

// withIncludeUsage reports whether got is want with stream_options.include_usage added.
func withIncludeUsage(t *testing.T, want, got string) bool {
	t.Helper()
	var w, g map[string]any
	if json.Unmarshal([]byte(want), &w) != nil || json.Unmarshal([]byte(got), &g) != nil {
		return false
	}
	if options, ok := g["stream_options"].(map[string]any); !ok || options["include_usage"] != true {
		return false
	}
	delete(g, "stream_options")
	return reflect.DeepEqual(w, g)
}
