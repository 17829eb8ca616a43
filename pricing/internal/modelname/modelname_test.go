package modelname_test

import (
	"bytes"
	"testing"

	"github.com/llmproxy/llmproxy/pricing/internal/modelname"
)

func TestReduced(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ family, name, want string }{
		{"openai", "gpt-5-2025-08-07", "gpt-5"},
		{"openai", "gpt-5-2025-13-07", "gpt-5-2025-13-07"}, // no month
		{"openai", "gpt-5-2025-08-32", "gpt-5-2025-08-32"},
		{"openai", "gpt-5-latest", "gpt-5"},
		{"openai", "gpt-4-0613", "gpt-4-0613"}, // a name, with a price of its own
		{"openai", "ft:gpt-4o:acme::1", "ft:gpt-4o"},
		{"openai", "ft:gpt-4o", "ft:gpt-4o"},
		{"anthropic", "claude-x-20250929", "claude-x"},
		{"anthropic", "claude-x-19991231", "claude-x-19991231"},
		{"vertexai", "claude-x@20250929", "claude-x"},
		{"vertexai", "claude-x@default", "claude-x"},
		{"googleai", "gemini-x-001", "gemini-x"},
		{"openai", "gemini-x-001", "gemini-x-001"},
		{"bedrock", "anthropic.claude-x-v1:0", "anthropic.claude-x-v1"},
		{"bedrock", "anthropic.claude-x-v1", "anthropic.claude-x"},
		{"bedrock", "anthropic.claude-x", "anthropic.claude-x"},
		{"mistral", "mistral-large-2411", "mistral-large-2411"},
		{"openai", "-latest", "-latest"},
		{"openai", "", ""},
	} {
		if got := string(modelname.Reduced(tt.family, []byte(tt.name))); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.family, tt.name, got, tt.want)
		}
	}
}

// What is left of a name is a part of it, and gets shorter until nothing more can go.
func FuzzReduced(f *testing.F) {
	f.Add("bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x-20250929-v1:0")
	f.Add("vertexai", "publishers/google/models/gemini-x-001")
	f.Add("openai", "ft:gpt-4o-2024-08-06:acme::1")
	f.Add("fireworks", "accounts/fireworks/models/glm")
	f.Fuzz(func(t *testing.T, family, name string) {
		whole := []byte(name)
		short := modelname.Trimmed(family, whole)
		if !bytes.HasSuffix(whole, short) {
			t.Fatalf("%q is not the end of %q", short, whole)
		}
		if rest, ok := modelname.InRegion(short); ok != (len(rest) < len(short)) || !bytes.HasSuffix(short, rest) {
			t.Errorf("%q in a region is %q", short, rest)
		}
		for {
			shorter := modelname.Reduced(family, short)
			if !bytes.HasPrefix(short, shorter) || len(short) > 0 && len(shorter) == 0 {
				t.Fatalf("%q of %q", shorter, short)
			}
			if len(shorter) == len(short) {
				return
			}
			short = shorter
		}
	})
}
