package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy/wire"
)

// replace makes an Edit.
func replace(start, end int, by string) wire.Edit {
	return wire.Edit{Span: wire.Span{Start: start, End: end}, New: []byte(by)}
}

func TestSplice(t *testing.T) {
	t.Parallel()
	const text = "0123456789"
	for _, tt := range []struct {
		edits []wire.Edit
		want  string
	}{
		{nil, text},
		{[]wire.Edit{replace(0, 0, "")}, text},
		{[]wire.Edit{replace(0, 10, "")}, ""},
		{[]wire.Edit{replace(0, 10, "new")}, "new"},
		{[]wire.Edit{replace(2, 4, "ab")}, "01ab456789"},
		{[]wire.Edit{replace(2, 4, "")}, "01456789"},
		{[]wire.Edit{replace(0, 0, "<")}, "<0123456789"},
		{[]wire.Edit{replace(10, 10, ">")}, "0123456789>"},
		{[]wire.Edit{replace(8, 9, "H"), replace(1, 3, "bcd"), replace(3, 3, "+")}, "0bcd+34567H9"},
		{[]wire.Edit{replace(3, 5, "x"), replace(5, 7, "y")}, "012xy789"},
		// Insertions in one place keep their order, and go before what is replaced there.
		{[]wire.Edit{replace(4, 5, "X"), replace(4, 4, "a"), replace(4, 4, "b"), replace(5, 5, "c")}, "0123abXc56789"},
		{[]wire.Edit{
			replace(9, 10, "9"), replace(8, 9, "8"), replace(7, 8, "7"), replace(6, 7, "6"), replace(5, 6, "5"),
			replace(4, 5, "4"), replace(3, 4, "3"), replace(2, 3, "2"), replace(1, 2, "1"), replace(0, 1, "zero"),
		}, "zero123456789"},
	} {
		before := slices.Clone(tt.edits)
		if err := wire.Check([]byte(text), tt.edits...); err != nil {
			t.Errorf("Check(%v): %v", tt.edits, err)
		}
		if got := wire.Splice([]byte(text), tt.edits...); string(got) != tt.want {
			t.Errorf("Splice(%v) = %q, want %q", tt.edits, got, tt.want)
		}
		r := wire.NewReader([]byte(text), tt.edits)
		if got := r.Len(); got != int64(len(tt.want)) {
			t.Errorf("Len(%v) = %d, want %d", tt.edits, got, len(tt.want))
		}
		if err := iotest.TestReader(r, []byte(tt.want)); err != nil {
			t.Errorf("Reader of %v: %v", tt.edits, err)
		}
		if got := r.Len(); got != 0 {
			t.Errorf("Len(%v) = %d at the end", tt.edits, got)
		}
		if diff := cmp.Diff(before, tt.edits); diff != "" {
			t.Errorf("edits changed (-before +after):\n%s", diff)
		}
	}
}

func TestSpliceRefuses(t *testing.T) {
	t.Parallel()
	text := []byte("0123456789")
	for _, edits := range [][]wire.Edit{
		{replace(-1, 0, "")},
		{replace(3, 2, "")},
		{replace(0, 11, "")},
		{replace(11, 11, "")},
		{replace(2, 5, ""), replace(4, 6, "")},
		{replace(4, 6, ""), replace(2, 5, "")},
		{replace(2, 5, ""), replace(2, 5, "")},
		{replace(2, 5, ""), replace(3, 3, "")},
		{replace(0, 10, ""), replace(5, 6, "")},
	} {
		if err := wire.Check(text, edits...); !errors.Is(err, wire.ErrEdit) {
			t.Errorf("Check(%v) = %v, want ErrEdit", edits, err)
		}
		for what, run := range map[string]func(){
			"Splice":    func() { wire.Splice(text, edits...) },
			"NewReader": func() { wire.NewReader(text, edits) },
		} {
			func() {
				defer func() {
					if got := recover(); got != wire.ErrEdit {
						t.Errorf("%s(%v): panic %v, want ErrEdit", what, edits, got)
					}
				}()
				run()
			}()
		}
	}
}

func TestSpliceAllocatesItsResultOnly(t *testing.T) {
	text := []byte(`{"model":"a","x":1}`)
	if n := testing.AllocsPerRun(100, func() { wire.Splice(text, replaceB(9, 12), replaceB(1, 1)) }); n != 1 {
		t.Errorf("Splice: %v allocations, want 1", n)
	}
}

var fresh = []byte(`"model-of-the-provider"`)

func replaceB(start, end int) wire.Edit {
	return wire.Edit{Span: wire.Span{Start: start, End: end}, New: fresh}
}

func TestReaderWritesPieces(t *testing.T) {
	t.Parallel()
	text := []byte("0123456789")
	edits := []wire.Edit{replace(2, 4, "ab"), replace(6, 7, "")}
	r := wire.NewReader(text, edits)
	edits[0].Start = 9 // the slice is the caller's again
	var w pieces
	if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	n, err := r.WriteTo(&w)
	if want := (pieces{"b", "45", "789"}); n != 6 || err != nil || !slices.Equal(w, want) {
		t.Errorf("WriteTo = %d, %v, %q; want 6 bytes in %q", n, err, w, want)
	}
	if n, err := r.WriteTo(&w); n != 0 || err != nil {
		t.Errorf("WriteTo at the end = %d, %v", n, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("Read at the end = %d, %v", n, err)
	}
}

// pieces keeps what each write wrote.
type pieces []string

func (w *pieces) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func TestReaderGoesOnAfterAFailedWrite(t *testing.T) {
	t.Parallel()
	r := wire.NewReader([]byte("0123456789"), []wire.Edit{replace(2, 4, "abc")})
	full := errors.New("full")
	n, err := r.WriteTo(&bounded{left: 4, err: full})
	if n != 4 || err != full || r.Len() != 7 {
		t.Errorf("WriteTo = %d, %v, %d left; want 4, full, 7 left", n, err, r.Len())
	}
	n, err = r.WriteTo(&bounded{left: 2})
	if n != 2 || err != io.ErrShortWrite {
		t.Errorf("WriteTo = %d, %v; want 2, short write", n, err)
	}
	if rest, err := io.ReadAll(r); string(rest) != "56789" || err != nil {
		t.Errorf("the rest is %q, %v; want 56789", rest, err)
	}
}

// bounded takes left bytes and then returns err.
type bounded struct {
	left int
	err  error
}

func (w *bounded) Write(p []byte) (int, error) {
	if len(p) <= w.left {
		w.left -= len(p)
		return len(p), nil
	}
	n := w.left
	w.left = 0
	return n, w.err
}

func TestAppendString(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"", `""`},
		{"gpt-5", `"gpt-5"`},
		{"a\"b\\c/d", `"a\"b\\c/d"`},
		{"\b\f\n\r\t\x00\x1f\x7f", `"\b\f\n\r\t\u0000\u001f` + "\x7f\""},
		{"é😀\u2028\uFFFD", "\"é😀\u2028\uFFFD\""},
		{"a\xffb\xc3", "\"a\uFFFDb\uFFFD\""},
		{"<&>", `"<&>"`},
	} {
		if got := string(wire.AppendString([]byte("x:"), tt.in)); got != "x:"+tt.want {
			t.Errorf("AppendString(%q) = %s, want x:%s", tt.in, got, tt.want)
		}
	}
}

// Any string survives writing and reading.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\x00", "é😀", "a\xffb\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := wire.AppendString(nil, s)
		if !jsontext.Value(text).IsValid() {
			t.Fatalf("AppendString(%q) = %s is no JSON", s, text)
		}
		if minimal, _ := jsontext.AppendQuote(nil, s); len(text) != len(minimal) {
			t.Errorf("AppendString(%q) = %s, want %s", s, text, minimal)
		}
		want := strings.ToValidUTF8(s, "\uFFFD")
		if !utf8.ValidString(s) {
			want = string([]rune(s)) // one U+FFFD for each bad byte
		}
		if got, ok := wire.String(text); got != want || !ok {
			t.Errorf("String(%s) = %q, %v; want %q", text, got, ok, want)
		}
	})
}

// Replacing the value of a member changes this member and no other.
func FuzzSpliceMember(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s), "gpt-\"5")
	}
	names := wire.NewNames("model")
	f.Fuzz(func(t *testing.T, text []byte, model string) {
		spans := make([]wire.Span, 1)
		root, err := names.Scan(text, spans)
		if err != nil || wire.KindOf(text) != wire.Object {
			return
		}
		value := wire.AppendString(nil, model)
		want := members(text)
		edit := wire.Edit{Span: spans[0], New: value}
		if spans[0].Found() {
			i := slices.IndexFunc(want, func(m [2]string) bool { return m[0] == "model" })
			want[i][1] = string(value)
		} else {
			// Not there: add it before the closing brace.
			edit = replace(root.End-1, root.End-1, fmt.Sprintf(`"model":%s`, value))
			if len(want) > 0 {
				edit.New = append([]byte{','}, edit.New...)
			}
			want = append(want, [2]string{"model", string(value)})
		}
		got := wire.Splice(text, edit)
		if _, err := names.Scan(got, spans); err != nil {
			t.Fatalf("%q became %q: %v", text, got, err)
		}
		if diff := cmp.Diff(want, members(got)); diff != "" {
			t.Errorf("%q became %q (-want +got):\n%s", text, got, diff)
		}
	})
}

// A Reader reads what Splice returns, and both do what the edits say one by one.
func FuzzReader(f *testing.F) {
	f.Add([]byte("0123456789"), []byte{2, 4, 2, 6, 0, 1}, 3)
	f.Add([]byte(""), []byte{0, 0, 5}, 1)
	f.Add([]byte("abc"), []byte{0, 3, 0}, 100)
	f.Add([]byte("abcdef"), []byte{3, 0, 1, 3, 0, 2, 0, 3, 4, 5, 1, 0, 2, 2, 9}, 2)
	f.Fuzz(func(t *testing.T, text, plan []byte, size int) {
		var edits []wire.Edit
		for ; len(plan) >= 3; plan = plan[3:] {
			edits = append(edits, replace(int(plan[0]), int(plan[0])+int(plan[1]), strings.Repeat("+", int(plan[2]%16))))
		}
		if wire.Check(text, edits...) != nil {
			return
		}
		spliced := wire.Splice(text, edits...)
		read, err := io.ReadAll(readerOnly{wire.NewReader(text, edits), 1 + size&0xff})
		if err != nil || !bytes.Equal(read, spliced) {
			t.Fatalf("read %q, %v; want %q", read, err, spliced)
		}
		var written bytes.Buffer
		r := wire.NewReader(text, edits)
		length := r.Len()
		if n, err := r.WriteTo(&written); n != length || err != nil || !bytes.Equal(written.Bytes(), spliced) {
			t.Fatalf("wrote %q, %d, %v; want %q, %d", written.Bytes(), n, err, spliced, length)
		}
		// From the back, no edit moves another.
		slow := bytes.Clone(text)
		order := slices.Clone(edits)
		slices.SortStableFunc(order, func(a, b wire.Edit) int {
			if a.Start != b.Start {
				return a.Start - b.Start
			}
			return a.End - b.End
		})
		for _, e := range slices.Backward(order) {
			slow = slices.Concat(slow[:e.Start], e.New, slow[e.End:])
		}
		if !bytes.Equal(slow, spliced) {
			t.Fatalf("spliced %q, want %q", spliced, slow)
		}
	})
}

// readerOnly hides WriteTo and reads at most n bytes at a time.
type readerOnly struct {
	r *wire.Reader
	n int
}

func (r readerOnly) Read(p []byte) (int, error) { return r.r.Read(p[:min(len(p), r.n)]) }
