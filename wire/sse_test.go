package wire_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy/wire"
)

// event is a frame that was copied.
type event struct{ Name, Data string }

// events keeps the frames it is given.
type events []event

func (e *events) Frame(f wire.Frame) {
	*e = append(*e, event{string(f.Event), string(f.Data)})
}

// parse reads a stream from the writes.
func parse(limit int, writes ...[]byte) (got events, oversized int) {
	s := wire.NewSSE(&got, limit)
	for _, w := range writes {
		w = bytes.Clone(w)
		if n, err := s.Write(w); n != len(w) || err != nil {
			panic(fmt.Sprintf("Write(%q) = %d, %v", w, n, err))
		}
		for i := range w {
			w[i] = '#' // what was written is the caller's again
		}
	}
	return got, s.Oversized()
}

// inOnes cuts b into single bytes.
func inOnes(b []byte) (ones [][]byte) {
	return slices.Collect(slices.Chunk(b, 1))
}

var sseTests = []struct {
	what, stream string
	want         events
}{
	{"nothing", "", nil},
	{"LF", "data: 1\n\ndata: 2\n\n", events{{"", "1"}, {"", "2"}}},
	{"CRLF", "event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", events{{"a", "1"}, {"", "2"}}},
	{"CR", "event: a\rdata: 1\r\rdata: 2\r\r", events{{"a", "1"}, {"", "2"}}},
	{"mixed line ends", "event: a\rdata: 1\n\r\ndata: 2\r\n\rdata: 3\n\n", events{{"a", "1"}, {"", "2"}, {"", "3"}}},
	{"CR LF is one line end", "data: 1\r\ndata: 2\r\n\n", events{{"", "1\n2"}}},
	{"LF CR is two", "data: 1\n\rdata: 2\n\r", events{{"", "1"}, {"", "2"}}},
	{"blank lines between", "\n\n\r\rdata: 1\n\n\n\n\r\ndata: 2\n\n\n", events{{"", "1"}, {"", "2"}}},
	{"several data lines", "data: 1\ndata:2\ndata:  3\n\n", events{{"", "1\n2\n 3"}}},
	{"empty data lines", "data\ndata:\ndata: \n\n", events{{"", "\n\n"}}},
	{"empty data", "data\n\ndata:\n\ndata: \n\n", events{{"", ""}, {"", ""}, {"", ""}}},
	{"empty line, then data", "data:\ndata: 1\n\n", events{{"", "\n1"}}},
	{"comments", ": ping\n\n:\ndata: 1\n:data: 2\n\n", events{{"", "1"}}},
	{"one space is cut", "data:1\n\ndata:  1 \n\ndata:\t1\n\n", events{{"", "1"}, {"", " 1 "}, {"", "\t1"}}},
	{"colons in the value", "data:a:b: c\n\ndata::\n\n", events{{"", "a:b: c"}, {"", ":"}}},
	{"event without data", "event: a\n\ndata: 1\n\n", events{{"", "1"}}},
	{"last event name counts", "event: a\nevent: b\ndata: 1\n\n", events{{"b", "1"}}},
	{"empty event name", "event: a\nevent\ndata: 1\n\nevent:\ndata: 2\n\n", events{{"", "1"}, {"", "2"}}},
	{"event after data", "data: 1\nevent: a\ndata: 2\n\n", events{{"a", "1\n2"}}},
	{"fields without meaning here", "id: 7\nretry: 10\nfoo: bar\nfoo\ndata: 1\nid\n\n", events{{"", "1"}}},
	{"names are exact", "Data: 1\ndata : 1\n data: 1\ndat: 1\ndatas: 1\nevents: 1\nd: 1\n\ndata: 2\n\n", events{{"", "2"}}},
	{"unfinished line", "data: 1\n\ndata: 2", events{{"", "1"}}},
	{"unfinished event", "data: 1\n\ndata: 2\n", events{{"", "1"}}},
	{"byte order mark", "\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\ndata: 3\n\n", events{{"", "1"}, {"", "3"}}},
	{"second mark", "\xef\xbb\xbf\xef\xbb\xbfdata: 1\n\ndata: 2\n\n", events{{"", "2"}}},
	{"half a mark", "\xef\xbbdata: 1\n\ndata: 2\n\n", events{{"", "2"}}},
	{"half a mark alone", "\xef\ndata: 1\n\n", events{{"", "1"}}},
	{"mark and line end", "\xef\xbb\xbf\ndata: 1\n\n", events{{"", "1"}}},
	{"bytes that are not UTF-8", "data: \xff\x00\n\n", events{{"", "\xff\x00"}}},
	{"long lines", "data: " + strings.Repeat("x", 5000) + "\r\ndata: " + strings.Repeat("y", 700) + "\r\r", events{{"", strings.Repeat("x", 5000) + "\n" + strings.Repeat("y", 700)}}},
}

func TestSSE(t *testing.T) {
	t.Parallel()
	for _, tt := range sseTests {
		stream := []byte(tt.stream)
		for how, writes := range map[string][][]byte{
			"whole":    {stream},
			"in bytes": inOnes(stream),
		} {
			if got, _ := parse(0, writes...); !slices.Equal(got, tt.want) {
				t.Errorf("%s, %s: got %q, want %q", tt.what, how, got, tt.want)
			}
		}
		if len(stream) > 100 {
			continue
		}
		for i := range stream {
			for j := range stream[i:] {
				if got, _ := parse(0, stream[:i], stream[i:i+j], nil, stream[i+j:]); !slices.Equal(got, tt.want) {
					t.Errorf("%s, cut at %d and %d: got %q, want %q", tt.what, i, i+j, got, tt.want)
				}
			}
		}
	}
}

func TestSSELimit(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("n", 1024)
	for _, tt := range []struct {
		stream    string
		want      events
		oversized int
	}{
		{"data: 12345678\n\n", events{{"", "12345678"}}, 0},
		{"data: 123456789\n\ndata: 1\n\n", events{{"", "1"}}, 1},
		{"event: a\ndata: 123456789\ndata: 1\n\ndata: 1\n\n", events{{"", "1"}}, 1},
		{"data: 1234\ndata: 567\n\n", events{{"", "1234\n567"}}, 0},
		{"data: 1234\ndata: 5678\n\n", nil, 1},
		{"data: 12345678\ndata\n\n", nil, 1},
		{strings.Repeat("data\n", 9) + "\n", events{{"", "\n\n\n\n\n\n\n\n"}}, 0},
		{strings.Repeat("data\n", 10) + "\n", nil, 1},
		{"data: 123456789\n\n\ndata: 123456789\n\n", nil, 2},
		{"data: 123456789", nil, 0}, // not an event yet
		{": 123456789\ndata: 1\nfoo: 123456789\n\n", events{{"", "1"}}, 0},
		{"event: 123456789\ndata: 1\n\n", events{{"123456789", "1"}}, 0},
		{"event: " + name + "\ndata: 1\n\n", events{{name, "1"}}, 0},
		{"event: " + name + "n\ndata: 1\n\n", nil, 1},
		{"event: " + name + "n\n\n", nil, 0},
		{"event: " + name + "n\nevent: a\ndata: 1\n\n", events{{"a", "1"}}, 0},
	} {
		for how, writes := range map[string][][]byte{
			"whole":    {[]byte(tt.stream)},
			"in bytes": inOnes([]byte(tt.stream)),
		} {
			got, oversized := parse(8, writes...)
			if !slices.Equal(got, tt.want) || oversized != tt.oversized {
				t.Errorf("%q, %s: got %q and %d oversized, want %q and %d", tt.stream, how, got, oversized, tt.want, tt.oversized)
			}
		}
	}
}

func TestSSEReset(t *testing.T) {
	t.Parallel()
	for _, left := range []string{
		"data: 1", "data: 1\n", "data: 1\r", "da", "event: a\n", "\xef", "\xef\xbb\xbf", ": c", "data:", "data: 123456789\n\ndata: 123456789",
	} {
		var old, got events
		s := new(wire.SSE)
		s.Reset(&old, 8)
		s.Write([]byte(left))
		s.Reset(&got, 9)
		s.Write([]byte("\n\xef\xbb\xbfdata: 1\n\ndata: 123456789\n\ndata: 1234567890\n\n"))
		if want := (events{{"", "123456789"}}); !slices.Equal(got, want) || s.Oversized() != 1 {
			t.Errorf("after %q: got %q and %d oversized, want %q and 1", left, got, s.Oversized(), want)
		}
		if len(old) > 0 {
			t.Errorf("after %q: the old sink got %q", left, old)
		}
	}
}

// within checks that the data of each frame is a part of the write.
type within struct {
	t      *testing.T
	write  []byte
	frames int
}

func (w *within) Frame(f wire.Frame) {
	w.frames++
	for _, part := range [][]byte{f.Data, f.Event} {
		i := bytes.Index(w.write, part)
		if len(part) > 0 && &w.write[i] != &part[0] {
			w.t.Errorf("%q is a copy", part)
		}
	}
}

func TestSSECopiesNothingInsideOneWrite(t *testing.T) {
	sink := &within{t: t, write: []byte(": c\n\nevent: abc\ndata: def\n\ndata: ghi\r\n\r\n")}
	s := wire.NewSSE(sink, 0)
	n := testing.AllocsPerRun(100, func() {
		sink.frames = 0
		if s.Write(sink.write); sink.frames != 2 {
			t.Errorf("%d frames, want 2", sink.frames)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// discard is a sink that counts.
type discard struct{ frames, bytes int }

func (d *discard) Frame(f wire.Frame) { d.frames++; d.bytes += len(f.Data) }

func TestSSEUsesItsBufferAgain(t *testing.T) {
	ones := inOnes([]byte("event: abc\ndata: def\ndata: ghi\n\n"))
	var sink discard
	s := wire.NewSSE(&sink, 0)
	if n := testing.AllocsPerRun(100, func() {
		for _, b := range ones {
			s.Write(b)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	s = wire.NewSSE(&sink, 0)
	cut := []byte("data: a")
	if n := testing.AllocsPerRun(100, func() {
		s.Write(cut)
		s.Reset(&sink, 0)
	}); n != 0 {
		t.Errorf("%v allocations with Reset", n)
	}
}

// Memory is bounded by the limit, whatever is written.
func TestSSEBoundsItsMemory(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	for _, begin := range []string{"data: ", "event: ", "foo: ", "", ": ", "data: 1\ndata: ", "\xef"} {
		var sink discard
		s := wire.NewSSE(&sink, limit)
		s.Write([]byte(begin))
		piece := bytes.Repeat([]byte("x"), 1000)
		for range 5000 {
			s.Write(piece)
			if got := s.Held(); got > limit+4096 {
				t.Fatalf("after %q: %d bytes held, limit %d", begin, got, limit)
			}
		}
		s.Write([]byte("\n\ndata: " + strings.Repeat("y", 100_000)))
		if got := s.Held(); got < 100_000 || got > limit {
			t.Errorf("after %q: %d bytes held in an event of 100,000", begin, got)
		}
		s.Write([]byte("\n\n"))
		if got := s.Held(); got > 64<<10 {
			t.Errorf("after %q: %d bytes held between events", begin, got)
		}
		if sink.bytes != 100_000 {
			t.Errorf("after %q: %d bytes in %d frames, want 100,000", begin, sink.bytes, sink.frames)
		}
	}
}

// A large event in small writes takes time that is linear in its size, or this test would
// not end.
func TestSSEDribble(t *testing.T) {
	t.Parallel()
	const size = 2 << 20
	var sink discard
	s := wire.NewSSE(&sink, 0)
	var splitter wire.Splitter
	stream := []byte("data: " + strings.Repeat("x", size) + "\n\n")
	for i := range stream {
		s.Write(stream[i : i+1])
		if n, ended := splitter.Next(stream[i : i+1]); n != 1 || ended != (i == len(stream)-1) {
			t.Fatalf("Next at %d = %d, %v", i, n, ended)
		}
	}
	if want := (discard{1, size}); sink != want {
		t.Errorf("got %+v, want %+v", sink, want)
	}
}

// sseSeeds are streams for the fuzz targets.
func sseSeeds(f *testing.F) {
	for _, tt := range sseTests {
		f.Add([]byte(tt.stream), uint(3), uint(7))
	}
	f.Add([]byte("event: message_start\ndata: {\"type\":\"message_start\"}\n\n: ping\n\ndata: [DONE]\n\n"), uint(20), uint(2))
	f.Add([]byte("\r\n\r\n\n\r\r\n"), uint(1), uint(1))
}

// The frames do not depend on how the stream was cut, and are those of a plain reading of
// the standard.
func FuzzSSE(f *testing.F) {
	sseSeeds(f)
	f.Fuzz(func(t *testing.T, stream []byte, first, second uint) {
		for _, limit := range []int{0, 8} {
			want, wantOver := plain(string(stream), limit)
			a := int(first % uint(len(stream)+1))
			b := a + int(second%uint(len(stream)-a+1))
			for how, writes := range map[string][][]byte{
				"whole":                            {stream},
				fmt.Sprintf("cut at %d, %d", a, b): {stream[:a], stream[a:b], stream[b:]},
				"in bytes":                         inOnes(stream),
			} {
				got, over := parse(limit, writes...)
				if diff := cmp.Diff(want, got); diff != "" || over != wantOver {
					t.Errorf("%q, limit %d, %s: %d oversized, want %d; (-want +got):\n%s", stream, limit, how, over, wantOver, diff)
				}
			}
		}
	})
}

// plain reads a stream slowly.
func plain(stream string, limit int) (all events, oversized int) {
	stream = strings.TrimPrefix(stream, "\xef\xbb\xbf")
	stream = strings.ReplaceAll(stream, "\r\n", "\n")
	stream = strings.ReplaceAll(stream, "\r", "\n")
	lines := strings.Split(stream, "\n")
	var name string
	var data []string
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			joined := strings.Join(data, "\n")
			switch {
			case data == nil:
			case limit > 0 && len(joined) > limit || len(name) > 1024:
				oversized++
			default:
				all = append(all, event{name, joined})
			}
			name, data = "", nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "data":
			data = append(data, value)
		case "event":
			name = value
		}
	}
	return all, oversized
}
