package wire_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy/wire"
)

var wanted = []string{"model", "stream", "é", `a"b`, ""}

func TestScanFindsSpans(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want []string // values of wanted; "" is not there
	}{
		{`{}`, []string{"", "", "", "", ""}},
		{`{"model":"m"}`, []string{`"m"`, "", "", "", ""}},
		{` { "stream" : true , "model" : [1, 2 ] } `, []string{`[1, 2 ]`, `true`, "", "", ""}},
		{"\t{\r\n\"x\":{\"model\":1,\"stream\":[{}]},\"stream\":-1.5e+3\n}", []string{"", "-1.5e+3", "", "", ""}},
		{`{"mod\u0065l":null,"\u00e9":0,"a\"b":"\\\"","":{"":{}}}`, []string{"null", "", "0", `"\\\""`, `{"":{}}`}},
		{`{"é":1,"a\u0022b":2,"Model":3,"models":4,"mode":5}`, []string{"", "", "1", "2", ""}},
		{`{"x":1,"x":2,"\ud800":3,"\ud800":4,"model":5}`, []string{"5", "", "", "", ""}},
		{`["model",{"model":1}]`, []string{"", "", "", "", ""}},
		{` "model" `, []string{"", "", "", "", ""}},
		{`{"a\"":1,"a\"bc":2,"a":3,"a\u0022B":4}`, []string{"", "", "", "", ""}},
	} {
		names := wire.NewNames(wanted...)
		spans := make([]wire.Span, len(wanted))
		for i := range spans {
			spans[i] = wire.Span{Start: 7, End: 9} // what an earlier scan left
		}
		root, err := names.Scan([]byte(tt.text), spans)
		if err != nil {
			t.Errorf("Scan(%q): %v", tt.text, err)
			continue
		}
		if got, want := string(root.Of([]byte(tt.text))), strings.Trim(tt.text, " \t\r\n"); got != want {
			t.Errorf("Scan(%q): root %q, want %q", tt.text, got, want)
		}
		got := make([]string, len(wanted))
		for i, s := range spans {
			if s.Found() {
				got[i] = string(s.Of([]byte(tt.text)))
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Scan(%q): values (-want +got):\n%s", tt.text, diff)
		}
	}
}

func TestScanRefuses(t *testing.T) {
	t.Parallel()
	const long = "0123456789abcdef" // longer than one step of the scanner
	for _, tt := range []struct {
		text   string
		offset int
	}{
		// Nothing, truncated.
		{"", 0},
		{" \n", 2},
		{"{", 1},
		{"{ ", 2},
		{`{"model`, 7},
		{`{"model"`, 8},
		{`{"model" `, 9},
		{`{"model":`, 9},
		{`{"model": `, 10},
		{`{"model":1`, 10},
		{`{"model":1 `, 11},
		{`{"model":1,`, 11},
		{`{"x":{"model"`, 13},
		{`{"x":{"model":1`, 15},
		{"[", 1},
		{"[1", 2},
		{"[1,", 3},
		{"[[]", 3},
		{`"`, 1},
		{`"` + long, 17},
		{`"\`, 1},
		{`"\u12`, 1},
		{`"\u123"`, 1},
		{"tru", 0},
		{"nul", 0},
		{"-", 1},
		{"1.", 2},
		{"1e", 2},
		{"1e+", 3},

		// Commas and colons.
		{`{"model":1,}`, 11},
		{`{,}`, 1},
		{`{"model":1,,"stream":2}`, 11},
		{`{"model":1 "stream":2}`, 11},
		{`{"model",1}`, 8},
		{`{"model"::1}`, 9},
		{`{"model":}`, 9},
		{`{"x":{"y":1,}}`, 12},
		{`{"x":{"y"}}`, 9},
		{`{"x":{"y":1 2}}`, 12},
		{"[1,]", 3},
		{"[,1]", 1},
		{"[1 2]", 3},
		{"[1:2]", 2},

		// Brackets that do not match.
		{`{"model":1]`, 10},
		{"[1}", 2},
		{`[{"a":1]`, 7},
		{`{"x":{"a":[}}`, 11},
		{"}", 0},
		{"]", 0},
		{"[{]", 2},

		// Names.
		{"{model:1}", 1},
		{"{'model':1}", 1},
		{"{1:1}", 1},
		{"{null:1}", 1},
		{`{"x":{y:1}}`, 6},

		// Words and numbers.
		{"True", 0},
		{"nulll", 4},
		{"NaN", 0},
		{"-Infinity", 1},
		{"undefined", 0},
		{"01", 1},
		{"-01", 2},
		{"+1", 0},
		{".5", 0},
		{"1.e5", 2},
		{"0x10", 1},
		{"1_000", 1},
		{"--1", 1},

		// Strings.
		{"\"a\nb\"", 2},
		{"\"\x00\"", 1},
		{"\"\x1f\"", 1},
		{"\"" + long + "\x1f" + long + "\"", 17},
		{"\"" + long + "\t\"", 17},
		{`"\x"`, 1},
		{`"\'"`, 1},
		{`"` + long + `\0` + long + `"`, 17},
		{`"\u00g0"`, 1},
		{`"\U0041"`, 1},
		{"'a'", 0},

		// What is not UTF-8.
		{"\"\xff\"", 1},
		{"\"" + long + "\xc3\"", 17},
		{"\"\xc3\x28\"", 1},
		{"\"\xed\xa0\x80\"", 1}, // a surrogate
		{"\"\xc0\x80\"", 1},     // overlong
		{"\"\xf4\x90\x80\x80\"", 1},
		{"{\"\xff\":1}", 2},
		{"[\xc3\xa9]", 1},

		// Around the value.
		{"\xef\xbb\xbf{}", 0},
		{"{} {}", 3},
		{"{},", 2},
		{"1 2", 2},
		{"{}\x00", 2},
		{"{}\v", 2},
		{"\f{}", 0},
		{"\u00a0{}", 0},
		{"{} // comment", 3},
		{"/**/{}", 0},
		{"{}]", 2},
	} {
		names := wire.NewNames(wanted...)
		spans := make([]wire.Span, len(wanted))
		root, err := names.Scan([]byte(tt.text), spans)
		syntax, ok := errors.AsType[*wire.SyntaxError](err)
		if !ok || syntax.Offset != tt.offset {
			t.Errorf("Scan(%q): error %v, want a SyntaxError at %d", tt.text, err, tt.offset)
		}
		if root.Found() {
			t.Errorf("Scan(%q): root %v after an error", tt.text, root)
		}
		for i, s := range spans {
			if s.Found() {
				t.Errorf("Scan(%q): span %v of %q after an error", tt.text, s, wanted[i])
			}
		}
	}
}

func TestScanRefusesEveryTruncation(t *testing.T) {
	t.Parallel()
	const text = `{"model":"m\u00e9\n","x":[1.5e-7,{"y":[true,false,null]},"é"],"stream":{"a":{}}}`
	names := wire.NewNames(wanted...)
	spans := make([]wire.Span, len(wanted))
	if _, err := names.Scan([]byte(text), spans); err != nil {
		t.Fatalf("Scan(%q): %v", text, err)
	}
	for n := range len(text) {
		if _, err := names.Scan([]byte(text[:n]), spans); err == nil {
			t.Errorf("Scan(%q): no error", text[:n])
		}
	}
}

func TestScanRefusesDuplicates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want wire.DuplicateError
	}{
		{`{"model":1,"model":1}`, wire.DuplicateError{Name: "model", Offset: 11}},
		{`{"model":1,"x":2, "mod\u0065l":1}`, wire.DuplicateError{Name: "model", Offset: 18}},
		{`{"\u006d\u006f\u0064\u0065\u006c":{},"model":1}`, wire.DuplicateError{Name: "model", Offset: 37}},
		{`{"":1,"":2}`, wire.DuplicateError{Name: "", Offset: 6}},
		{`{"é":1,"\u00E9":2}`, wire.DuplicateError{Name: "é", Offset: 8}},
	} {
		names := wire.NewNames(wanted...)
		spans := make([]wire.Span, len(wanted))
		_, err := names.Scan([]byte(tt.text), spans)
		got, ok := errors.AsType[*wire.DuplicateError](err)
		if !ok || *got != tt.want {
			t.Errorf("Scan(%q): error %v, want %v", tt.text, err, &tt.want)
		}
	}
}

func TestScanDepth(t *testing.T) {
	t.Parallel()
	nested := func(open, inner, end string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for _, tt := range []struct {
		what string
		text string
		ok   bool
	}{
		{"1024 arrays", nested("[", "", "]", 1024), true},
		{"1025 arrays", nested("[", "", "]", 1025), false},
		{"1024 objects", nested(`{"x":`, "1", "}", 1024), true},
		{"1025 objects", nested(`{"x":`, "1", "}", 1025), false},
		{"1024 of both", nested(`{"model":[`, "1", "]}", 512), true},
		{"1026 of both", nested(`{"model":[`, "1", "]}", 513), false},
		{"100,000 arrays", nested("[", "", "]", 100_000), false},
		{"100,000 objects", nested(`{"x":`, "1", "}", 100_000), false},
		{"5,000,000 arrays", nested("[", "", "]", 5_000_000), false},
		{"5,000,000 open arrays", strings.Repeat("[", 5_000_000), false},
		{"5,000,000 arrays in a member", `{"x":` + strings.Repeat("[", 5_000_000), false},
		{"many siblings", "[" + strings.Repeat("[[]],", 5000) + "{}]", true},
	} {
		names := wire.NewNames("model")
		spans := make([]wire.Span, 1)
		_, err := names.Scan([]byte(tt.text), spans)
		if tt.ok && err != nil || !tt.ok && !errors.Is(err, wire.ErrDepth) {
			t.Errorf("%s: error %v, want ok = %v", tt.what, err, tt.ok)
		}
	}
}

// A mixed nest is closed by the right brackets only, at every depth.
func TestScanMatchesBracketsAtEveryDepth(t *testing.T) {
	t.Parallel()
	var open, end []byte
	for i := range wire.MaxDepth {
		if i*i%3 == 0 {
			open, end = append(open, '['), append(end, ']')
		} else {
			open, end = append(open, `{"k":`...), append(end, '}')
		}
	}
	for i := range len(end) / 2 {
		end[i], end[len(end)-1-i] = end[len(end)-1-i], end[i]
	}
	text := append(append(open, '1'), end...)
	names := wire.NewNames()
	if _, err := names.Scan(text, nil); err != nil {
		t.Fatalf("Scan: %v", err)
	}
	for i := len(text) - len(end); i < len(text); i++ {
		right := text[i]
		text[i] = ']' + '}' - right
		if _, err := names.Scan(text, nil); err == nil {
			t.Errorf("Scan: no error for the wrong bracket at %d", i)
		}
		text[i] = right
	}
}

func TestScanErrorsHoldNoInput(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{`{"secret":secret}`, "invalid JSON at byte 10: expected a value"},
		{`{"model":"secret","mod\u0065l":1}`, `duplicate JSON member "model" at byte 18`},
		{strings.Repeat("[", 2000), "JSON nested too deep at byte 1024"},
	} {
		_, err := wire.NewNames("model").Scan([]byte(tt.text), make([]wire.Span, 1))
		if err == nil || err.Error() != tt.want {
			t.Errorf("Scan: error %q, want %q", err, tt.want)
		}
	}
}

func TestScanOnOtherShapes(t *testing.T) {
	t.Parallel()
	var all []string
	var text bytes.Buffer
	text.WriteByte('{')
	for i := range 32 {
		all = append(all, strings.Repeat("n", i+1))
		text.WriteString(`"` + all[i] + `":` + strings.Repeat("1", i+1) + `,`)
	}
	text.WriteString(`"":0}`)
	spans := make([]wire.Span, 32)
	if _, err := wire.NewNames(all...).Scan(text.Bytes(), spans); err != nil {
		t.Fatalf("Scan: %v", err)
	}
	for i, s := range spans {
		if s.End-s.Start != i+1 {
			t.Errorf("span of %q: %q, want %d times 1", all[i], s.Of(text.Bytes()), i+1)
		}
	}

	for _, names := range [][]string{append(all, "x"), {"a", "b", "a"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("NewNames(%q): no panic", names)
				}
			}()
			wire.NewNames(names...)
		}()
	}
}

func TestScanAllocatesNothing(t *testing.T) {
	text := []byte(`{"mod\u0065l":"gpt","messages":[{"role":"user","content":"a\nb é"}],"stream":true}`)
	names := wire.NewNames("model", "stream")
	spans := make([]wire.Span, 2)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := names.Scan(text, spans); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("Scan: %v allocations", n)
	}
}

// jsonSeeds are texts, good and bad, for all fuzz targets that read JSON.
var jsonSeeds = []string{
	`{}`, `[]`, `""`, `0`, `null`, ``, ` `,
	`{"model":"gpt-5","stream":true,"messages":[{"role":"user","content":"Hi \u00e9\n"}]}`,
	"{\n  \"messages\": [ ],\n  \"model\": null,\r\n\t\"\": -0.0e-0\n}",
	`{"mod\u0065l":1,"model":2}`,
	`{"model":1,"model":2}`,
	`{"x":1,"x":2,"\ud800":{"\udc00":"\ud83d\ude00\ud83d"}}`,
	`{"a\"b":[[[[]]],{"a":{}}],"é":1e400}`,
	`[1,2.5,-3e7,true,false,null,"x",{"y":[]}]`,
	`{"usage":{"prompt_tokens":12,"completion_tokens":1.2e1}}`,
	`{"a":NaN,"b":1}`, `{"a":1,}`, `{"a":1`, `[1,]`, `{"a" 1}`, `{"a":"`, `"\u12`, `"\`,
	"\"0123456789\x1f0123456789\"", "\"0123456\xff789\"", "\xef\xbb\xbf{}",
	`{"model":"0123456789abcdefghijklmnopqrstuvwxyz\\\"","stream":[]} `,
	`{} {}`, `[}`, `{]`, `1.`, `01`, `-`, `1e+`, `tru`, `nulll`,
	strings.Repeat("[", 1025), strings.Repeat("[", 1024) + strings.Repeat("]", 1024),
}

// Scan accepts what the reference accepts, and finds the same bytes.
func FuzzScan(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	names := wire.NewNames(wanted...)
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		spans := make([]wire.Span, len(wanted))
		root, err := names.Scan(text, spans)
		if !bytes.Equal(text, before) {
			t.Fatalf("Scan changed %q to %q", before, text)
		}
		if errors.Is(err, wire.ErrDepth) {
			if d := depth(text); d <= wire.MaxDepth {
				t.Fatalf("Scan(%q): %v, but it is %d deep", text, err, d)
			}
			return
		}
		values, valid := reference(text)
		if !valid {
			if err == nil {
				t.Fatalf("Scan(%q): no error, the reference refuses it", text)
			}
			return
		}
		if d := depth(text); d > wire.MaxDepth {
			t.Fatalf("Scan(%q): error %v, want ErrDepth: it is %d deep", text, err, d)
		}
		for _, name := range wanted {
			if len(values[name]) > 1 {
				if duplicate, ok := errors.AsType[*wire.DuplicateError](err); !ok {
					t.Fatalf("Scan(%q): error %v, want a duplicate of %q", text, err, name)
				} else if len(values[duplicate.Name]) < 2 {
					t.Fatalf("Scan(%q): %v is wrong", text, err)
				}
				return
			}
		}
		if err != nil {
			t.Fatalf("Scan(%q): %v, the reference accepts it", text, err)
		}
		if got, want := string(root.Of(text)), strings.Trim(string(text), " \t\r\n"); got != want {
			t.Errorf("Scan(%q): root %q, want %q", text, got, want)
		}
		for i, name := range wanted {
			var got []string
			if spans[i].Found() {
				got = []string{string(spans[i].Of(text))}
			}
			if diff := cmp.Diff(values[name], got); diff != "" {
				t.Errorf("Scan(%q): %q (-want +got):\n%s", text, name, diff)
			}
		}
	})
}

var lax = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// reference reads text with another parser. values holds the bytes of the values of each
// member of the object, if it is one.
func reference(text []byte) (values map[string][]string, valid bool) {
	if !utf8.Valid(text) || !jsontext.Value(text).IsValid(lax...) {
		return nil, false
	}
	values = make(map[string][]string)
	for _, m := range members(text) {
		values[m[0]] = append(values[m[0]], m[1])
	}
	return values, true
}

// members returns the names and values of text, a valid JSON text, in order.
func members(text []byte) (all [][2]string) {
	d := jsontext.NewDecoder(bytes.NewReader(text), lax...)
	if d.PeekKind() != '{' {
		return nil
	}
	must(d.ReadToken())
	for d.PeekKind() != '}' {
		name := must(d.ReadToken()).String()
		all = append(all, [2]string{name, string(must(d.ReadValue()))})
	}
	return all
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// depth returns how deep text nests as far as its strings are well formed.
func depth(text []byte) (deepest int) {
	n, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[', c == '{':
			n++
			deepest = max(deepest, n)
		case c == ']', c == '}':
			n--
		}
	}
	return deepest
}
