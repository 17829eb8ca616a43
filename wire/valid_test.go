package wire_test

import (
	"testing"

	"github.com/llmproxy/llmproxy/wire"
)

func TestValid(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`{"a":[1,2,{"b":null}]}`: true, ` 1 `: true, `"x"`: true,
		``: false, `{"a":`: false, `{} {}`: false, "\"\xff\"": false,
	} {
		if got := wire.Valid([]byte(text)); got != want {
			t.Errorf("%q: got %t", text, got)
		}
	}
}
