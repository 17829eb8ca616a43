package openaigo

import (
	"slices"
	"testing"

	"github.com/openai/openai-go/v3/packages/ssestream"
)

// entry is a way into the gateway.
type entry struct {
	name   string
	base   string // path of the base URL
	prefix string // of models
}

// plain are the entries at which models keep the names the provider gave them.
var plain = []entry{
	{"by the model", "/v1", ""},
	{"by the model, no v1", "", ""},
	{"by the model, trailing slash", "/v1/", ""},
	{"mount", "/openai/v1", ""},
	{"mount, no v1", "/openai", ""},
}

// everyEntry adds those at which a prefix of the model names the provider.
var everyEntry = append(slices.Clone(plain),
	entry{"by a prefix", "/v1", "openai/"},
	entry{"by a prefix, no v1", "", "openai/"},
)

// everywhere runs a scenario with the provider itself, and then through the gateway by
// each entry. What the SDK hears must be the same, byte for byte.
func everywhere(t *testing.T, entries []entry, scenario func(*session)) {
	t.Helper()
	d := direct(t)
	scenario(d)
	if len(d.heard) == 0 {
		t.Fatal("the scenario keeps nothing to compare")
	}
	for _, e := range entries {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			s := newRig(t).session(e.base, e.prefix)
			scenario(s)
			s.settled()
			s.same(d)
		})
	}
}

// same checks that s has heard what the provider said to other.
func (s *session) same(other *session) {
	s.t.Helper()
	if len(s.heard) != len(other.heard) {
		s.t.Errorf("heard %d things, want %d", len(s.heard), len(other.heard))
	}
	for i := range min(len(s.heard), len(other.heard)) {
		if s.heard[i] != other.heard[i] {
			s.t.Errorf("heard\n%.400s\nwant\n%.400s", s.heard[i], other.heard[i])
			return
		}
	}
}

// wire is what the SDK makes of a JSON text, which it keeps.
type wire interface{ RawJSON() string }

// listen reads a stream to its end and hears its events.
func listen[T wire](s *session, stream *ssestream.Stream[T]) []T {
	s.t.Helper()
	var events []T
	for stream.Next() {
		events = append(events, stream.Current())
		s.hear(stream.Current().RawJSON())
	}
	s.do(stream.Err())
	return events
}
