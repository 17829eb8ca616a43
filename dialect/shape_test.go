package dialect

import (
	"fmt"
	"strings"
	"testing"
)

func TestShape(t *testing.T) {
	t.Parallel()
	chunk := func(content, reason, obfuscation string) string {
		return fmt.Sprintf(`{"id":"c1","model":"m","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":%s}],"usage":null,"obfuscation" : "%s"}`, content, reason, obfuscation)
	}
	var s shape
	if s.matches([]byte(chunk("a", "null", "x"))) || s.matches(nil) {
		t.Error("no shape matches")
	}
	s.learn([]byte(chunk("a", "null", "x")))
	if s.gaps != 2 {
		t.Errorf("%d texts were left out, want 2", s.gaps)
	}
	for _, tt := range []struct {
		chunk string
		want  bool
	}{
		{chunk("a", "null", "x"), true},
		{chunk("", "null", ""), true},
		{chunk(strings.Repeat("long ", 1000), "null", "yz"), true},
		{chunk(`a \" \\`, "null", "x"), true},
		{chunk(`\"usage\":{} \"finish_reason\":\"stop\"`, "null", "x"), true}, // a text
		{chunk("a", `"stop"`, "x"), false},
		{chunk(`a","finish_reason":"stop`, "null", "x"), false},
		{chunk(`a\\","finish_reason":"stop`, "null", "x"), false},
		{strings.Replace(chunk("a", "null", "x"), `"usage":null`, `"usage":{}`, 1), false},
		{strings.Replace(chunk("a", "null", "x"), `"index":0`, `"index":1`, 1), false},
		{chunk("a", "null", "x") + " ", false},
		{chunk("a", "null", "x")[:60], false},
		{strings.TrimSuffix(chunk("a", "null", "x"), `"}`), false},
		{"", false},
	} {
		if got := s.matches([]byte(tt.chunk)); got != tt.want {
			t.Errorf("%s: got %t", tt.chunk, got)
		}
	}
	s.learn([]byte(`{"a":"` + strings.Repeat("x", maxShape) + `"}`))
	if s.length != 0 {
		t.Error("a chunk that is too long has a shape")
	}
	s.learn([]byte(`{"content":"never ends`))
	if s.length != 0 {
		t.Error("a broken chunk has a shape")
	}
}

// A chunk that matches the shape of one without news has none itself, as far as a full
// reading can tell.
func FuzzShape(f *testing.F) {
	f.Add([]byte(`{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}`), []byte(`{"choices":[{"index":0,"delta":{"content":"b\\""},"finish_reason":null}]}`))
	f.Add([]byte(`{"content":"a","text":"b"}`), []byte(`{"content":"\\\\","text":"\"usage\":1"}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if hasNews(first) {
			return
		}
		var s shape
		s.learn(first)
		if s.length > 0 && !s.matches(first) {
			t.Fatalf("%q does not match its own shape", first)
		}
		if !s.matches(second) {
			return
		}
		if !hasNews(second) {
			return
		}
		// The search errs on the side of news in texts; a full reading must find none.
		var c Choices
		c.Meta.Model, c.begun = "m", true
		before := c.Metadata()
		c.read(second, false)
		after := c.Metadata()
		if before.Usage != after.Usage || before.UsageReported != after.UsageReported || before.FinishReason != after.FinishReason || before.Outcome != after.Outcome {
			t.Fatalf("%q has the shape of %q, and news: %+v", second, first, after)
		}
	})
}
