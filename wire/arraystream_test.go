package wire_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/wire"
)

// cutArray reads an array from the writes.
func cutArray(limit int, writes ...[]byte) (got []string, a *wire.ArrayStream) {
	a = wire.NewArrayStream(sinkFunc(func(f wire.Frame) {
		if f.Event != nil {
			panic("a frame of an array has an event")
		}
		got = append(got, string(f.Data))
	}), limit)
	for _, w := range writes {
		w = bytes.Clone(w)
		if n, err := a.Write(w); n != len(w) || err != nil {
			panic(fmt.Sprintf("Write(%q) = %d, %v", w, n, err))
		}
		for i := range w {
			w[i] = '#' // what was written is the caller's again
		}
	}
	a.End()
	return got, a
}

var arrayStreamTests = []struct {
	what, text string
	want       []string
	complete   bool
}{
	{"nothing", "", nil, false},
	{"white space", " \n", nil, false},
	{"empty array", " [ ] ", nil, true},
	{"as Gemini sends it", "[{\n  \"a\": [1]\n}\n,\r\n{\"b\":2}\n]\n", []string{"{\n  \"a\": [1]\n}", `{"b":2}`}, true},
	{"brackets and quotes in strings", `[{"a":"]}\"[{","b":"\\"},{"c":"\\\"]"}]`, []string{`{"a":"]}\"[{","b":"\\"}`, `{"c":"\\\"]"}`}, true},
	{"nested", `[[[]],{"a":{"b":[{}]}},[]]`, []string{`[[]]`, `{"a":{"b":[{}]}}`, `[]`}, true},
	{"scalars", `[1, "a,]" ,null,true , -2.5e3]`, []string{"1", `"a,]"`, "null", "true", "-2.5e3"}, true},
	{"after the array", `[{}] [{"a":1}]`, []string{"{}"}, true},
	{"cut after an element", `[{"a":1}`, []string{`{"a":1}`}, false},
	{"cut in an element", `[{"a":1},{"b":`, []string{`{"a":1}`}, false},
	{"cut in a number", `[1,2`, []string{"1"}, false},
	{"cut in a string", `["a","b`, []string{`"a"`}, false},
	{"commas too many", `[,{},,{},]`, []string{"{}", "{}"}, true},
	{"commas missing", `[{}{}"a""b"1]`, []string{"{}", "{}", `"a""b"1`}, true},
	{"odd brackets", `[{"a":]},{}]`, []string{`{"a":]`, "}", "{}"}, true},
	{"a bracket in a scalar", `[1}2,3{4]`, []string{"1}2", "3{4"}, true},
	{"odd words", `[NaN,{"a":undefined}]`, []string{"NaN", `{"a":undefined}`}, true},
	{"an object", " {\"error\":{\"code\":400}}\n", []string{`{"error":{"code":400}}`}, true},
	{"an object, cut", `{"error":{"code":400}`, []string{`{"error":{"code":400}`}, true},
	{"an object, cut early", `{"error":`, []string{`{"error":`}, false},
	{"text", "upstream connect error ", []string{"upstream connect error"}, false},
	{"a mark", "\ufeff[1]", []string{"\ufeff[1]"}, false},
}

func TestArrayStream(t *testing.T) {
	t.Parallel()
	for _, tt := range arrayStreamTests {
		check := func(how string, writes ...[]byte) {
			t.Helper()
			got, a := cutArray(0, writes...)
			if !slices.Equal(got, tt.want) || a.Complete() != tt.complete || a.Oversized() != 0 {
				t.Errorf("%s, %s: got %q, complete %v, %d oversized; want %q, %v", tt.what, how, got, a.Complete(), a.Oversized(), tt.want, tt.complete)
			}
		}
		text := []byte(tt.text)
		check("whole", text)
		check("in bytes", inOnes(text)...)
		for i := range text {
			for j := range text[i:] {
				check(fmt.Sprintf("cut at %d and %d", i, i+j), text[:i], text[i:i+j], nil, text[i+j:])
			}
		}
	}
}

func TestArrayStreamLimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text      string
		want      []string
		oversized int
	}{
		{`[{"a":12}]`, []string{`{"a":12}`}, 0},
		{`[{"a":123},{"a":1},"1234567", [1,2,3,4],2]`, []string{`{"a":1}`, "2"}, 3},
		{`{"a":12}`, []string{`{"a":12}`}, 0},
		{`{"a":123}`, nil, 1},
		{`[` + strings.Repeat(" ", 100) + `{}]`, []string{"{}"}, 0},
	} {
		for how, writes := range map[string][][]byte{"whole": {[]byte(tt.text)}, "in bytes": inOnes([]byte(tt.text))} {
			got, a := cutArray(8, writes...)
			if !slices.Equal(got, tt.want) || a.Oversized() != tt.oversized {
				t.Errorf("%s, %s: got %q and %d oversized, want %q and %d", tt.text, how, got, a.Oversized(), tt.want, tt.oversized)
			}
		}
	}
}

func TestArrayStreamAllocatesNothing(t *testing.T) {
	body := []byte("[" + strings.Repeat(`{"candidates":[{"content":{"parts":[{"text":"a"}]}}]},`, 20))
	frames, copied := 0, 0
	a := wire.NewArrayStream(sinkFunc(func(f wire.Frame) {
		frames++
		if !isPart(f.Data, body) {
			copied++
		}
	}), 0)
	_, _ = a.Write(body)
	if frames != 20 || copied != 0 {
		t.Errorf("%d of %d frames were copied, want none of 20", copied, frames)
	}
	for what, step := range map[string]int{"whole": len(body), "in pieces": 100} {
		run := func() {
			for rest := body[1:]; len(rest) > 0; {
				n := min(step, len(rest))
				_, _ = a.Write(rest[:n])
				rest = rest[n:]
			}
		}
		run()
		if n := testing.AllocsPerRun(50, run); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

// The elements do not depend on the cuts, and are those of the array where it is one.
func FuzzArrayStream(f *testing.F) {
	for _, tt := range arrayStreamTests {
		f.Add([]byte(tt.text), uint(3), uint(60))
	}
	for _, s := range jsonSeeds {
		f.Add([]byte(s), uint(5), uint(0))
	}
	f.Fuzz(func(t *testing.T, text []byte, cut, limit uint) {
		n, max := int(cut%uint(len(text)+1)), int(limit%100_000)
		whole, w := cutArray(max, text)
		for how, writes := range map[string][][]byte{
			"in two":   {text[:n], text[n:]},
			"in bytes": inOnes(text),
			"in parts": slices.Collect(slices.Chunk(text, n+1)),
		} {
			got, a := cutArray(max, writes...)
			if !slices.Equal(got, whole) || a.Oversized() != w.Oversized() || a.Complete() != w.Complete() {
				t.Errorf("%s: got %q, whole %q", how, got, whole)
			}
		}
		if _, valid := reference(text); !valid || wire.KindOf(text) != wire.Array || w.Oversized() > 0 {
			return
		}
		if want := collectElements(text); !slices.Equal(whole, want) || !w.Complete() {
			t.Errorf("got %q, want %q, complete %v", whole, want, w.Complete())
		}
	})
}

func BenchmarkArrayStream(b *testing.B) {
	body := []byte("[" + strings.Repeat(`{"candidates":[{"content":{"parts":[{"text":"`+prose+`"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":12}},`, 20))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		a := wire.NewArrayStream(sinkFunc(func(wire.Frame) {}), 0)
		_, _ = a.Write(body)
	}
}

func BenchmarkEventStream(b *testing.B) {
	stream := bytes.Repeat(message("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":" a word"},"p":"abcdefghijklm"}`), 20)
	for _, size := range []int{len(stream), 100} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			s := wire.NewEventStream(sinkFunc(func(wire.Frame) {}), 0)
			for b.Loop() {
				for rest := stream; len(rest) > 0; {
					n := min(size, len(rest))
					_, _ = s.Write(rest[:n])
					rest = rest[n:]
				}
			}
		})
	}
}

func ExampleNewArrayStream() {
	a := wire.NewArrayStream(sinkFunc(func(f wire.Frame) { fmt.Printf("%s\n", f.Data) }), 0)
	_, _ = a.Write([]byte(`[{"candidates":[]}`))
	_, _ = a.Write([]byte("\n,\r\n{\"usage"))
	_, _ = a.Write([]byte(`Metadata":{}}]`))
	a.End()
	fmt.Println(a.Complete())
	// Output:
	// {"candidates":[]}
	// {"usageMetadata":{}}
	// true
}
