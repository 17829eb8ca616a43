package wire_test

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/wire"
)

// cutLines reads lines from the writes.
func cutLines(limit int, writes ...[]byte) (got []string, oversized int) {
	l := wire.NewLines(sinkFunc(func(f wire.Frame) {
		if f.Event != nil {
			panic("a line has an event")
		}
		got = append(got, string(f.Data))
	}), limit)
	for _, w := range writes {
		w = bytes.Clone(w)
		if n, err := l.Write(w); n != len(w) || err != nil {
			panic(fmt.Sprintf("Write(%q) = %d, %v", w, n, err))
		}
		for i := range w {
			w[i] = '#' // what was written is the caller's again
		}
	}
	l.End()
	l.End() // says nothing new
	return got, l.Oversized()
}

var linesTests = []struct {
	what, text string
	want       []string
}{
	{"nothing", "", nil},
	{"empty lines", "\n\r\n\n", nil},
	{"as Ollama sends it", "{\"done\":false}\n{\"done\":true}\n", []string{`{"done":false}`, `{"done":true}`}},
	{"CRLF", "{\"a\":1}\r\n\r\n{\"b\":2}\r\n", []string{`{"a":1}`, `{"b":2}`}},
	{"LF and CRLF", "a\r\nb\nc\r\n", []string{"a", "b", "c"}},
	{"no last line end", "a\nb", []string{"a", "b"}},
	{"half a last line end", "a\r\nb\r", []string{"a", "b"}},
	{"CR alone", "a\rb\n\rc\r\r\n", []string{"a\rb", "\rc\r"}},
	{"only a CR", "\r", nil},
	{"white space", " \n\t{} \n", []string{" ", "\t{} "}},
	{"not JSON", "upstream connect error", []string{"upstream connect error"}},
	{"a line end in a string", `{"a":"b\nc"}`, []string{`{"a":"b\nc"}`}},
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, tt := range linesTests {
		check := func(how string, limit int, writes ...[]byte) {
			t.Helper()
			if got, oversized := cutLines(limit, writes...); !slices.Equal(got, tt.want) || oversized != 0 {
				t.Errorf("%s, %s: got %q, %d oversized; want %q", tt.what, how, got, oversized, tt.want)
			}
		}
		text := []byte(tt.text)
		check("whole", 0, text)
		check("without a limit", math.MaxInt, text)
		check("in bytes", 0, inOnes(text)...)
		for i := range text {
			for j := range text[i:] {
				check(fmt.Sprintf("cut at %d and %d", i, i+j), 0, text[:i], text[i:i+j], nil, text[i+j:])
			}
		}
	}
}

func TestLinesLimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text      string
		want      []string
		oversized int
	}{
		{"12345678\n12345678\r\n12345678", []string{"12345678", "12345678", "12345678"}, 0},
		{"12345678\r", []string{"12345678"}, 0},
		{"123456789\n123456789\r\n123456789", nil, 3},
		{"1234567890\r\n123456789\r", nil, 2},
		{"12345678\r\r\n12345678\r \n1234567\r\r\n", []string{"1234567\r"}, 2},
		{strings.Repeat("long", 100) + "\nshort\n", []string{"short"}, 1},
	} {
		for how, writes := range map[string][][]byte{"whole": {[]byte(tt.text)}, "in bytes": inOnes([]byte(tt.text))} {
			if got, oversized := cutLines(8, writes...); !slices.Equal(got, tt.want) || oversized != tt.oversized {
				t.Errorf("%q, %s: got %q and %d oversized, want %q and %d", tt.text, how, got, oversized, tt.want, tt.oversized)
			}
		}
	}
}

func TestLinesAllocatesNothing(t *testing.T) {
	body := []byte(strings.Repeat(`{"message":{"role":"assistant","content":"a"},"done":false}`+"\r\n", 20))
	frames, copied := 0, 0
	l := wire.NewLines(sinkFunc(func(f wire.Frame) {
		frames++
		if !isPart(f.Data, body) {
			copied++
		}
	}), 0)
	_, _ = l.Write(body)
	if frames != 20 || copied != 0 {
		t.Errorf("%d of %d frames were copied, want none of 20", copied, frames)
	}
	for what, step := range map[string]int{"whole": len(body), "in pieces": 100} {
		run := func() {
			for rest := body; len(rest) > 0; {
				n := min(step, len(rest))
				_, _ = l.Write(rest[:n])
				rest = rest[n:]
			}
		}
		run()
		if n := testing.AllocsPerRun(50, run); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

// A line without end takes no more memory than a line of max bytes, while its buffer
// doubles. No other test may run beside this one.
func TestLinesBoundsItsMemory(t *testing.T) {
	const limit = 1 << 20
	l := wire.NewLines(&discard{}, limit)
	piece := bytes.Repeat([]byte("x"), 1000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 * limit / len(piece) {
		_, _ = l.Write(piece)
	}
	_, _ = l.Write([]byte("\n"))
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 3*limit || l.Oversized() != 1 {
		t.Errorf("took %d bytes for %d lines of 100 MiB, want at most 3 MiB for 1", took, l.Oversized())
	}
}

// The lines do not depend on the cuts, and are those a plain reading finds.
func FuzzLines(f *testing.F) {
	for _, tt := range linesTests {
		f.Add([]byte(tt.text), uint(3), uint(60))
		f.Add([]byte(tt.text), uint(1), uint(2))
	}
	f.Fuzz(func(t *testing.T, text []byte, cut, limit uint) {
		n, max := int(cut%uint(len(text)+1)), int(limit%100)+1
		var want []string
		oversized := 0
		for line := range strings.SplitSeq(string(text), "\n") {
			switch line = strings.TrimSuffix(line, "\r"); {
			case len(line) > max:
				oversized++
			case line != "":
				want = append(want, line)
			}
		}
		for how, writes := range map[string][][]byte{
			"whole":    {text},
			"in two":   {text[:n], text[n:]},
			"in bytes": inOnes(text),
			"in parts": slices.Collect(slices.Chunk(text, n+1)),
		} {
			if got, o := cutLines(max, writes...); !slices.Equal(got, want) || o != oversized {
				t.Errorf("%s: got %q, %d oversized; want %q, %d", how, got, o, want, oversized)
			}
		}
	})
}

func BenchmarkLines(b *testing.B) {
	body := []byte(strings.Repeat(`{"model":"m","message":{"role":"assistant","content":" a word"},"done":false}`+"\n", 20))
	for _, size := range []int{len(body), 100} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			l := wire.NewLines(sinkFunc(func(wire.Frame) {}), 0)
			for b.Loop() {
				for rest := body; len(rest) > 0; {
					n := min(size, len(rest))
					_, _ = l.Write(rest[:n])
					rest = rest[n:]
				}
			}
		})
	}
}

func ExampleNewLines() {
	l := wire.NewLines(sinkFunc(func(f wire.Frame) { fmt.Printf("%s\n", f.Data) }), 0)
	_, _ = l.Write([]byte("{\"done\":false}\n{\"do"))
	_, _ = l.Write([]byte("ne\":true}"))
	l.End()
	// Output:
	// {"done":false}
	// {"done":true}
}
