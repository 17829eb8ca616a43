package wire_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/wire"
)

// split cuts a stream that comes in pieces. last is what follows the last event.
func split(writes ...[]byte) (whole []string, last string) {
	var s wire.Splitter
	var pending []byte
	for _, p := range writes {
		for len(p) > 0 {
			n, ended := s.Next(p)
			pending = append(pending, p[:n]...)
			p = p[n:]
			if ended {
				whole = append(whole, string(pending))
				pending = pending[:0]
			} else if len(p) > 0 {
				panic("Next left bytes and the event goes on")
			}
		}
	}
	return whole, string(pending)
}

func TestSplitter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		stream string
		want   []string
		last   string
	}{
		{"", nil, ""},
		{"data: 1\n\ndata: 2\n\n", []string{"data: 1\n\n", "data: 2\n\n"}, ""},
		{"event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", []string{"event: a\r\ndata: 1\r\n\r\n", "data: 2\r\n\r\n"}, ""},
		{"data: 1\r\rdata: 2\r\r", []string{"data: 1\r\r"}, "data: 2\r\r"}, // a LF may follow
		{"data: 1\n\r\ndata: 2\r\n\ndata: 3\r\n\rdata: 4\n", []string{"data: 1\n\r\n", "data: 2\r\n\n", "data: 3\r\n\r"}, "data: 4\n"},
		{"data: 1\n", nil, "data: 1\n"},
		{"data: 1", nil, "data: 1"},
		{": ping\n\n", []string{": ping\n\n"}, ""},
		{"\n", []string{"\n"}, ""},
		{"\r\n", []string{"\r\n"}, ""},
		{"\n\n\r\r\n\rx", []string{"\n", "\n", "\r", "\r\n", "\r"}, "x"},
		{"data: 1\n\n\n\r\ndata: 2\n\n", []string{"data: 1\n\n", "\n", "\r\n", "data: 2\n\n"}, ""},
		{strings.Repeat("x", 2000) + "\r\n" + strings.Repeat("y", 511) + "\n\n:", []string{strings.Repeat("x", 2000) + "\r\n" + strings.Repeat("y", 511) + "\n\n"}, ":"},
	} {
		stream := []byte(tt.stream)
		for how, writes := range map[string][][]byte{
			"whole":     {stream},
			"in bytes":  inOnes(stream),
			"in twos":   slices.Collect(slices.Chunk(stream, 2)),
			"in sevens": slices.Collect(slices.Chunk(stream, 7)),
		} {
			got, last := split(writes...)
			if !slices.Equal(got, tt.want) || last != tt.last {
				t.Errorf("%q, %s: got %q and %q, want %q and %q", tt.stream, how, got, last, tt.want, tt.last)
			}
		}
	}
}

func TestSplitterWaitsForLF(t *testing.T) {
	t.Parallel()
	type step struct {
		p     string
		n     int
		ended bool
	}
	for _, steps := range [][]step{
		{{"a\r\n\r", 4, false}, {"\nb", 1, true}, {"b\n\n", 3, true}},
		{{"a\r\r", 3, false}, {"b", 0, true}, {"b", 1, false}},
		{{"a\r\r", 3, false}, {"", 0, false}, {"\r", 0, true}, {"\r", 1, false}, {"\n", 1, true}},
		{{"a\r", 2, false}, {"\n", 1, false}, {"\n", 1, true}},
		{{"a\r", 2, false}, {"b", 1, false}, {"\n\nc", 2, true}},
	} {
		var s wire.Splitter
		for i, step := range steps {
			if n, ended := s.Next([]byte(step.p)); n != step.n || ended != step.ended {
				t.Errorf("%+v: step %d: Next(%q) = %d, %v", steps, i, step.p, n, ended)
			}
		}
	}
}

// Nothing is lost, the cuts do not depend on the writes, and no frame lies across one.
func FuzzSplitter(f *testing.F) {
	sseSeeds(f)
	f.Fuzz(func(t *testing.T, stream []byte, first, second uint) {
		a := int(first % uint(len(stream)+1))
		b := a + int(second%uint(len(stream)-a+1))
		whole, last := split(stream)
		if got := strings.Join(whole, "") + last; got != string(stream) {
			t.Fatalf("%q became %q", stream, got)
		}
		for _, writes := range [][][]byte{{stream[:a], stream[a:b], stream[b:]}, inOnes(stream)} {
			if got, gotLast := split(writes...); !slices.Equal(got, whole) || gotLast != last {
				t.Errorf("%q in %q: got %q and %q, want %q and %q", stream, writes, got, gotLast, whole, last)
			}
		}
		var want events
		for _, e := range whole {
			if ends := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(e); ends != "\n" && !strings.HasSuffix(ends, "\n\n") {
				t.Errorf("%q: %q does not end in a blank line", stream, e)
			}
		}
		// Each event can be read on its own, but for the mark at the start.
		if bytes.HasPrefix(stream, []byte("\xef\xbb\xbf")) {
			return
		}
		for _, e := range whole {
			got, _ := parse(0, []byte("\n"), []byte(e))
			if len(got) > 1 {
				t.Errorf("%q: %q holds %d frames", stream, e, len(got))
			}
			want = append(want, got...)
		}
		got, _ := parse(0, []byte("\n"), stream)
		rest, _ := parse(0, []byte("\n"), []byte(last))
		if want = append(want, rest...); !slices.Equal(got, want) {
			t.Errorf("%q: frames %q, of its events %q", stream, got, want)
		}
	})
}

func TestSplitterAllocatesNothing(t *testing.T) {
	stream := []byte("event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n")
	if n := testing.AllocsPerRun(100, func() {
		var s wire.Splitter
		for p := stream; len(p) > 0; {
			n, _ := s.Next(p)
			p = p[n:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
