package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/wire"
)

// cutMessages reads an event stream from the writes.
func cutMessages(limit int, writes ...[]byte) (got events, s *wire.EventStream) {
	s = wire.NewEventStream(&got, limit)
	for _, w := range writes {
		w = bytes.Clone(w)
		if n, err := s.Write(w); n != len(w) || err != nil {
			panic(fmt.Sprintf("Write(%q) = %d, %v", w, n, err))
		}
		for i := range w {
			w[i] = '#' // what was written is the caller's again
		}
	}
	return got, s
}

// event returns a message with an event's name.
func message(name, payload string) []byte {
	return wire.AppendMessage(nil, []wire.Header{
		{":event-type", name},
		{":content-type", "application/json"},
		{":message-type", "event"},
	}, []byte(payload))
}

// raw returns a message with these bytes for headers and lengths that are off by some.
func raw(headers, payload string, offLength, offHeaders int) []byte {
	n := 16 + len(headers) + len(payload)
	b := binary.BigEndian.AppendUint32(nil, uint32(n+offLength))
	b = binary.BigEndian.AppendUint32(b, uint32(len(headers)+offHeaders))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	b = append(b, headers+payload...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// flipped returns b with one bit of the byte at i changed; from the end if i is negative.
func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	if i < 0 {
		i += len(b)
	}
	b[i] ^= 4
	return b
}

// text returns a header with a string value.
func text(name, value string) string {
	return string(byte(len(name))) + name + "\x07" + string(binary.BigEndian.AppendUint16(nil, uint16(len(value)))) + value
}

var allTypes = "\x01a\x00" + "\x01b\x01" + "\x01c\x02x" + "\x01d\x03xx" + "\x01e\x04xxxx" + "\x01f\x05xxxxxxxx" +
	"\x01g\x06\x00\x03xyz" + "\x00\x08xxxxxxxx" + "\x01h\x09xxxxxxxxxxxxxxxx" + text(":event-type", "all")

var eventStreamTests = []struct {
	what   string
	stream []byte
	want   events
	err    error
	whole  bool
}{
	{"nothing", nil, nil, nil, true},
	{"one", message("chunk", `{"a":1}`), events{{"chunk", `{"a":1}`}}, nil, true},
	{
		"two", slices.Concat(message("messageStart", `{}`), message("messageStop", `{"b":2}`)),
		events{{"messageStart", `{}`}, {"messageStop", `{"b":2}`}},
		nil, true,
	},
	{"no payload", message("a", ""), events{{"a", ""}}, nil, true},
	{"nothing at all", raw("", "", 0, 0), events{{"", ""}}, nil, true},
	{"no headers", raw("", "x", 0, 0), events{{"", "x"}}, nil, true},
	{"every type of header", raw(allTypes, "x", 0, 0), events{{"all", "x"}}, nil, true},
	{"the last of two headers counts", raw(text(":event-type", "a")+text(":event-type", "b"), "", 0, 0), events{{"b", ""}}, nil, true},
	{"an event type that is no string", raw("\x0b:event-type\x06\x00\x01a", "", 0, 0), events{{"", ""}}, nil, true},
	{
		"an exception", raw(text(":message-type", "exception")+text(":exception-type", "throttlingException"), "{}", 0, 0),
		events{{"exception throttlingException", "{}"}},
		nil, true,
	},
	{
		"an exception without :message-type", raw(text(":exception-type", "throttlingException"), "{}", 0, 0),
		events{{"exception throttlingException", "{}"}},
		nil, true,
	},
	{
		"an event with an exception's type", raw(text(":event-type", "a")+text(":exception-type", "b")+text(":message-type", "event"), "", 0, 0),
		events{{"a", ""}},
		nil, true,
	},
	{
		"an error", raw(text(":message-type", "error")+text(":error-code", "InternalError")+text(":error-message", "oh"), "", 0, 0),
		events{{"exception InternalError", ""}},
		nil, true,
	},
	{"an exception without a type", raw(text(":message-type", "exception"), "", 0, 0), events{{"exception ", ""}}, nil, true},
	{"a cut prelude", message("a", "")[:11], nil, nil, false},
	{"a cut message", slices.Concat(message("a", "1"), message("b", "2")[:30]), events{{"a", "1"}}, nil, false},

	{"first length", flipped(message("a", "1"), 3), nil, wire.ErrEventStreamChecksum, false},
	{"length of headers", flipped(message("a", "1"), 7), nil, wire.ErrEventStreamChecksum, false},
	{"first checksum", flipped(message("a", "1"), 8), nil, wire.ErrEventStreamChecksum, false},
	{"a header", flipped(message("a", "1"), 14), nil, wire.ErrEventStreamChecksum, false},
	{"payload", flipped(message("a", "1"), -5), nil, wire.ErrEventStreamChecksum, false},
	{"last checksum", flipped(message("a", "1"), -1), nil, wire.ErrEventStreamChecksum, false},
	{
		"nothing after a fault", slices.Concat(message("a", "1"), flipped(message("b", "2"), -1), message("c", "3")),
		events{{"a", "1"}},
		wire.ErrEventStreamChecksum, false,
	},
	{"a length below the least", raw("", "", -1, 0), nil, wire.ErrEventStreamLength, false},
	{"a length of none", raw("", "", -16, 0), nil, wire.ErrEventStreamLength, false},
	{"headers beyond the end", raw("", "x", 0, 2), nil, wire.ErrEventStreamLength, false},
	{"headers far beyond the end", raw("", "x", 0, 1<<31), nil, wire.ErrEventStreamLength, false},
	{"headers into the payload", raw(text("a", "b"), "x", 0, 1), nil, wire.ErrEventStreamHeader, false},
	{"headers cut", raw(text("a", "b"), "x", 0, -1), nil, wire.ErrEventStreamHeader, false},
	{"a name beyond the headers", raw("\x03ab", "", 0, 0), nil, wire.ErrEventStreamHeader, false},
	{"a header without a type", raw("\x02ab", "", 0, 0), nil, wire.ErrEventStreamHeader, false},
	{"an unknown type", raw("\x01a\x0a", "", 0, 0), nil, wire.ErrEventStreamHeader, false},
	{"a value without its length", raw("\x01a\x07\x00", "", 0, 0), nil, wire.ErrEventStreamHeader, false},
	{"a value beyond the headers", raw("\x01a\x06\x00\x02x", "", 0, 0), nil, wire.ErrEventStreamHeader, false},
	{"half a number", raw("\x01a\x05xxxxxxx", "", 0, 0), nil, wire.ErrEventStreamHeader, false},
	{"text", []byte("HTTP/1.1 200 OK and so on"), nil, wire.ErrEventStreamChecksum, false},
}

func TestEventStream(t *testing.T) {
	t.Parallel()
	for _, tt := range eventStreamTests {
		check := func(how string, writes ...[]byte) {
			t.Helper()
			got, s := cutMessages(0, writes...)
			if !slices.Equal(got, tt.want) || s.Oversized() != 0 {
				t.Errorf("%s, %s: got %q and %d oversized, want %q", tt.what, how, got, s.Oversized(), tt.want)
			}
			if !errors.Is(s.Err(), tt.err) || s.Broken() != (tt.err != nil) || s.Whole() != tt.whole {
				t.Errorf("%s, %s: got %v, broken %v, whole %v; want %v and %v", tt.what, how, s.Err(), s.Broken(), s.Whole(), tt.err, tt.whole)
			}
		}
		check("whole", tt.stream)
		check("in bytes", inOnes(tt.stream)...)
		for i := range tt.stream {
			check(fmt.Sprintf("cut at %d", i), tt.stream[:i], nil, tt.stream[i:])
			check(fmt.Sprintf("cut at %d and 3 later", i), tt.stream[:i], tt.stream[i:min(i+3, len(tt.stream))], tt.stream[min(i+3, len(tt.stream)):])
		}
	}
}

func TestEventStreamLimit(t *testing.T) {
	t.Parallel()
	small, large := message("a", "1"), message("b", strings.Repeat("x", 1000))
	many := raw(strings.Repeat(text("name", strings.Repeat("v", 1000)), 131), "", 0, 0) // 132 KB of headers
	for _, tt := range []struct {
		what      string
		limit     int
		stream    []byte
		want      events
		oversized int
		err       error
		whole     bool
	}{
		{"at the limit", len(small), small, events{{"a", "1"}}, 0, nil, true},
		{"above it", len(small) - 1, small, nil, 1, nil, true},
		{"between others", 500, slices.Concat(small, large, large, small), events{{"a", "1"}, {"a", "1"}}, 2, nil, true},
		{"far from it", 0, slices.Concat(message("b", strings.Repeat("x", 100_000)), small), events{{"b", strings.Repeat("x", 100_000)}, {"a", "1"}}, 0, nil, true},
		{"cut", 500, slices.Concat(small, large[:900]), events{{"a", "1"}}, 1, nil, false},
		{"cut in its checksum", 500, large[:len(large)-1], nil, 1, nil, false},
		{"with a fault", 500, slices.Concat(flipped(large, 200), small), nil, 1, wire.ErrEventStreamChecksum, false},
		{"many headers", 0, slices.Concat(many, small), events{{"a", "1"}}, 1, nil, true},
		{"4 GiB, cut", 0, raw("", "x", 1<<32-18, 0), nil, 1, nil, false},
	} {
		for how, writes := range map[string][][]byte{
			"whole": {tt.stream}, "in bytes": inOnes(tt.stream), "in 13s": slices.Collect(slices.Chunk(tt.stream, 13)),
		} {
			got, s := cutMessages(tt.limit, writes...)
			if !slices.Equal(got, tt.want) || s.Oversized() != tt.oversized || !errors.Is(s.Err(), tt.err) || s.Whole() != tt.whole {
				t.Errorf("%s, %s: got %q, %d oversized, %v, whole %v", tt.what, how, got, s.Oversized(), s.Err(), s.Whole())
			}
		}
	}
}

func TestEventStreamReset(t *testing.T) {
	t.Parallel()
	var got events
	var s wire.EventStream
	for _, before := range [][]byte{nil, message("a", "1")[:20], []byte("no event stream"), raw("", "x", 1<<31, 0)} {
		s.Reset(&got, 0)
		_, _ = s.Write(before)
		got = nil
		s.Reset(&got, 0)
		_, _ = s.Write(message("b", "2"))
		if want := (events{{"b", "2"}}); !slices.Equal(got, want) || s.Err() != nil || s.Oversized() != 0 {
			t.Errorf("after %q: got %q, %v, %d oversized", before, got, s.Err(), s.Oversized())
		}
	}
}

func TestAppendMessageCutsHeaders(t *testing.T) {
	t.Parallel()
	m := wire.AppendMessage([]byte("before"), []wire.Header{
		{strings.Repeat("n", 300), "x"},
		{":event-type", strings.Repeat("v", 1<<15)},
	}, []byte("p"))
	got, s := cutMessages(0, bytes.TrimPrefix(m, []byte("before")))
	if want := (events{{strings.Repeat("v", 1<<15-1), "p"}}); !slices.Equal(got, want) || s.Err() != nil {
		t.Errorf("got %q, %v", got, s.Err())
	}
}

// sinkFunc is a function as a sink.
type sinkFunc func(f wire.Frame)

func (s sinkFunc) Frame(f wire.Frame) { s(f) }

func TestEventStreamAllocatesNothing(t *testing.T) {
	stream := bytes.Repeat(message("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"a"},"p":"abcdefgh"}`), 20)
	frames, copied := 0, 0
	s := wire.NewEventStream(sinkFunc(func(f wire.Frame) {
		frames++
		if !isPart(f.Data, stream) {
			copied++
		}
	}), 0)
	_, _ = s.Write(stream)
	if frames != 20 || copied != 0 {
		t.Errorf("%d of %d frames were copied, want none of 20", copied, frames)
	}
	for what, step := range map[string]int{"whole": len(stream), "in pieces": 100} {
		run := func() {
			for rest := stream; len(rest) > 0; {
				n := min(step, len(rest))
				_, _ = s.Write(rest[:n])
				rest = rest[n:]
			}
		}
		run()
		if n := testing.AllocsPerRun(50, run); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	if s.Err() != nil {
		t.Error(s.Err())
	}
}

// isPart reports whether part is a slice of text.
func isPart(part, text []byte) bool {
	for i := range text {
		if &text[i] == &part[0] {
			return true
		}
	}
	return false
}

// The frames do not depend on the cuts, whatever the bytes are: a message whose checksums
// are right and whose rest is anything, and what follows it.
func FuzzEventStream(f *testing.F) {
	for _, tt := range eventStreamTests {
		f.Add(allTypes, "{}", int16(0), int16(0), tt.stream, uint(7), uint(60))
	}
	f.Add(text(":exception-type", "a"), "{}", int16(3), int16(-1), message("a", "1"), uint(7), uint(0))
	f.Fuzz(func(t *testing.T, headers, payload string, offLength, offHeaders int16, after []byte, cut, limit uint) {
		stream := append(raw(headers, payload, int(offLength), int(offHeaders)), after...)
		n, max := int(cut%uint(len(stream)+1)), int(limit%100_000)
		whole, w := cutMessages(max, stream)
		for how, writes := range map[string][][]byte{
			"in two":   {stream[:n], stream[n:]},
			"in bytes": inOnes(stream),
			"in parts": slices.Collect(slices.Chunk(stream, n+1)),
		} {
			got, s := cutMessages(max, writes...)
			if !slices.Equal(got, whole) || !errors.Is(s.Err(), w.Err()) || s.Oversized() != w.Oversized() || s.Whole() != w.Whole() {
				t.Errorf("%s: got %q, %v; whole %q, %v", how, got, s.Err(), whole, w.Err())
			}
		}
	})
}

// What is encoded is decoded to the same.
func FuzzAppendMessage(f *testing.F) {
	f.Add(":event-type", "chunk", "x", "y", []byte("{}"), []byte(""))
	f.Add(":exception-type", "throttlingException", ":message-type", "exception", []byte("{}"), []byte("a"))
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string, payload1, payload2 []byte) {
		stream := wire.AppendMessage(nil, []wire.Header{{name1, value1}, {":event-type", "one"}, {":message-type", "event"}}, payload1)
		stream = wire.AppendMessage(stream, []wire.Header{{name1, value1}, {name2, value2}, {":message-type", "exception"}, {":exception-type", "two"}}, payload2)
		got, s := cutMessages(0, stream)
		want := events{{"one", string(payload1)}, {"exception two", string(payload2)}}
		if !slices.Equal(got, want) || !s.Whole() {
			t.Errorf("got %q, %v, want %q", got, s.Err(), want)
		}
	})
}

func ExampleNewEventStream() {
	stream := wire.AppendMessage(nil, []wire.Header{
		{":message-type", "event"}, {":event-type", "messageStop"},
	}, []byte(`{"stopReason":"end_turn"}`))
	stream = wire.AppendMessage(stream, []wire.Header{
		{":message-type", "exception"}, {":exception-type", "throttlingException"},
	}, []byte(`{"message":"slow down"}`))
	s := wire.NewEventStream(sinkFunc(func(f wire.Frame) {
		fmt.Printf("%s: %s\n", f.Event, f.Data)
	}), 0)
	_, _ = s.Write(stream[:50])
	_, _ = s.Write(stream[50:])
	fmt.Println(s.Whole(), s.Err())
	// Output:
	// messageStop: {"stopReason":"end_turn"}
	// exception throttlingException: {"message":"slow down"}
	// true <nil>
}
