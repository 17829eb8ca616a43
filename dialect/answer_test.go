package dialect_test

import (
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

func TestKeep(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ value, want string }{
		{`"m-1"`, "m-1"},
		{`"m\u002d1"`, "m-1"},
		{`"old"`, "old"},
		{`""`, "old"},
		{`null`, "old"},
		{`7`, "old"},
		{`{"a":"b"}`, "old"},
		{``, "old"},
		{`"`, "old"},
		{`"` + strings.Repeat("a", 300) + `"`, strings.Repeat("a", 256)},
		{`"` + strings.Repeat("a", 255) + `é"`, strings.Repeat("a", 255)},
		{`"` + strings.Repeat(`\u0061`, 256) + `"`, strings.Repeat("a", 256)},
		{`"` + strings.Repeat("a", 2000) + `"`, "old"}, // no name of anything
	} {
		got := "old"
		dialect.Keep(&got, []byte(tt.value))
		if got != tt.want {
			t.Errorf("%.40s: got %q, want %q", tt.value, got, tt.want)
		}
	}
}

func TestEventType(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ event, data, want string }{
		{"response.created", `{"type":"other"}`, "response.created"},
		{"message", `{"type":"response.created"}`, "response.created"},
		{"", `{"a":{"type":"inner"},"type":"outer"}`, "outer"},
		{"", `{"type":7}`, ""},
		{"", `{"type":""}`, ""},
		{"", `{}`, ""},
		{"", `[DONE]`, ""},
	} {
		got := dialect.EventType(wire.Frame{Event: []byte(tt.event), Data: []byte(tt.data)})
		if string(got) != tt.want {
			t.Errorf("event %q, data %s: got %q, want %q", tt.event, tt.data, got, tt.want)
		}
	}
}
