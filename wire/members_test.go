package wire_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy/wire"
)

func collectMembers(object []byte) (all [][2]string) {
	for name, value := range wire.Members(object) {
		all = append(all, [2]string{string(name), string(value)})
	}
	return all
}

func collectElements(array []byte) (all []string) {
	for value := range wire.Elements(array) {
		all = append(all, string(value))
	}
	return all
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		object string
		want   [][2]string
	}{
		{`{}`, nil},
		{` { "a" : 1 , "b":[ 2 ] } `, [][2]string{{"a", "1"}, {"b", "[ 2 ]"}}},
		{`{"a":{"b":"}"},"c":"\"}","d":"\\"}`, [][2]string{{"a", `{"b":"}"}`}, {"c", `"\"}"`}, {"d", `"\\"`}}},
		{`{"a":1,"a":2}`, [][2]string{{"a", "1"}, {"a", "2"}}},
		{`{"\u0061\"\ud83d\ude00":1}`, [][2]string{{`a"😀`, "1"}}},
		{`{"a":NaN,"b":-Infinity,"c":1}`, [][2]string{{"a", "NaN"}, {"b", "-Infinity"}, {"c", "1"}}},
		{"{\"a\":\"x\ny\xff\",\"b\":1}", [][2]string{{"a", "\"x\ny\xff\""}, {"b", "1"}}},
		{`{"a\x":1,"\u12":2,"\u12g4":3,"\n\u1":4}`, [][2]string{{`a\x`, "1"}, {`\u12`, "2"}, {`\u12g4`, "3"}, {"\n\\u1", "4"}}},
		{`{"a":[-0.12345678,1234567890,"x",12345678901234567890,{}],"b":[123456789` + "\xdb\xdd\x02\x5b" + `"]"]]}`, [][2]string{
			{"a", `[-0.12345678,1234567890,"x",12345678901234567890,{}]`}, {"b", "[123456789\xdb\xdd\x02[\"]\"]]"},
		}},
		{`{"a":1,}`, [][2]string{{"a", "1"}}},

		// Malformed: the members before are yielded.
		{``, nil},
		{`[]`, nil},
		{`null`, nil},
		{`{`, nil},
		{`{"a`, nil},
		{`{"a"`, nil},
		{`{"a":`, nil},
		{`{"a":12`, nil},
		{`{"a":12 `, nil},
		{`{"a":"x"`, nil},
		{`{"a":"x`, nil},
		{`{"a":{"b":1}`, nil},
		{`{"a":["b`, nil},
		{`{"a":[1234567890123456789012`, nil},
		{`{"a":1,"b":{"c":2}`, [][2]string{{"a", "1"}}},
		{`{"a":1,"b":2`, [][2]string{{"a", "1"}}},
		{`{"a":1;"b":2}`, nil},
		{`{"a":1 2,"b":2}`, nil},
		{`{"a":1]`, nil},
		{`{"a":}`, nil},
		{`{"a":,"b":2}`, nil},
		{`{a:1}`, nil},
		{`{"a" 1}`, nil},
		{`{"a":]}`, nil},
		{`{"a":1,"b"}`, [][2]string{{"a", "1"}}},
	} {
		if diff := cmp.Diff(tt.want, collectMembers([]byte(tt.object))); diff != "" {
			t.Errorf("Members(%q) (-want +got):\n%s", tt.object, diff)
		}
	}
}

func TestElements(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		array string
		want  []string
	}{
		{`[]`, nil},
		{" [ ]", nil},
		{`[1]`, []string{"1"}},
		{"\n[ 1 ,[2,3], {\"a\":\"]\"} ,\"]\\\\\" , null]", []string{"1", "[2,3]", `{"a":"]"}`, `"]\\"`, "null"}},
		{`[1,]`, []string{"1"}},
		{`[1,2`, []string{"1"}},
		{`[1,"x`, []string{"1"}},
		{`[1}`, nil},
		{`[,1]`, nil},
		{`[1 2]`, nil},
		{`[1:2]`, nil},
		{`{"a":1}`, nil},
		{``, nil},
		{`[`, nil},
		{`[[`, nil},
		{`[[]`, nil},
	} {
		if diff := cmp.Diff(tt.want, collectElements([]byte(tt.array))); diff != "" {
			t.Errorf("Elements(%q) (-want +got):\n%s", tt.array, diff)
		}
	}
}

func TestMember(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ object, name, want string }{
		{`{"a":1,"b": 2 }`, "a", "1"},
		{`{"a":1,"b": 2 }`, "b", "2"},
		{`{"a":1,"b": 2 }`, "c", ""},
		{`{"a":1,"a":2}`, "a", "1"},
		{`{"":1}`, "", "1"},
		{`{"x":{"a":1},"a":2}`, "a", "2"},
		{`{"\u0061b":1}`, "ab", "1"},
		{`{"\u0061b":1}`, "a", ""},
		{`{"\u0061":1}`, "ab", ""},
		{`{"a\nb":1}`, "a\nb", "1"},
		{`{"a\nb":1}`, `a\nb`, ""},
		{`{"\ud83d\ude00":1}`, "😀", "1"},
		{`{"\xab":1,"a":2}`, "a", "2"},
		{`{"\u12":1}`, "u12", ""},
		{`{"a":1`, "a", ""},
		{``, "a", ""},
		{`null`, "a", ""},
	} {
		got := wire.Member([]byte(tt.object), tt.name)
		if string(got) != tt.want || (got == nil) != (tt.want == "") {
			t.Errorf("Member(%q, %q) = %q, want %q", tt.object, tt.name, got, tt.want)
		}
	}
	if got := wire.Member(nil, "a"); got != nil {
		t.Errorf("Member(nil) = %q", got)
	}
}

func TestIterationStops(t *testing.T) {
	t.Parallel()
	var seen []string
	for name := range wire.Members([]byte(`{"a":1,"b":2,"c":3}`)) {
		if seen = append(seen, string(name)); len(seen) == 2 {
			break
		}
	}
	for value := range wire.Elements([]byte(`[4,5,6]`)) {
		seen = append(seen, string(value))
		break
	}
	if want := []string{"a", "b", "4"}; !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
}

func TestDeepAndLongValues(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 5_000_000) + strings.Repeat("]", 5_000_000)
	if got := wire.Member([]byte(`{"x":`+deep+`,"a":1}`), "a"); string(got) != "1" {
		t.Errorf("Member behind a deep value = %q, want 1", got)
	}
	if got := wire.Member([]byte(`{"x":`+deep[:5_000_000]+`,"a":1}`), "a"); got != nil {
		t.Errorf("Member behind an open value = %q, want none", got)
	}
	slashes := `"` + strings.Repeat(`\\`, 1_000_000) + strings.Repeat(`\"`, 1_000_000) + `"`
	if got := wire.Member([]byte(`{"x":`+slashes+`,"a":1}`), "a"); string(got) != "1" {
		t.Errorf("Member behind many backslashes = %q, want 1", got)
	}
}

func TestMembersAllocateNothing(t *testing.T) {
	text := []byte(`{"a":[1,2,{"b":"c"}],"usage":{"prompt_tokens":12},"x\u0061":null}`)
	sum := 0
	for _, tt := range []struct {
		what string
		run  func()
		want float64
	}{
		{"Member", func() { sum += len(wire.Member(text, "xa")) }, 0},
		{"Members", func() {
			for name, value := range wire.Members(wire.Member(text, "usage")) {
				sum += len(name) + len(value)
			}
		}, 0},
		{"Members with one escaped name", func() {
			for name, value := range wire.Members(text) {
				sum += len(name) + len(value)
			}
		}, 1},
		{"Elements", func() {
			for value := range wire.Elements(wire.Member(text, "a")) {
				sum += len(value)
			}
		}, 0},
	} {
		if n := testing.AllocsPerRun(100, tt.run); n != tt.want {
			t.Errorf("%s: %v allocations, want %v", tt.what, n, tt.want)
		}
	}
}

// The iterators agree with the reference on valid JSON; on all else they stop, and yield
// parts of the text.
func FuzzMembers(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		gotMembers, gotElements := collectMembers(text), collectElements(text)
		for _, m := range gotMembers {
			if !bytes.Contains(text, []byte(m[1])) {
				t.Fatalf("%q is no part of %q", m[1], text)
			}
		}
		for _, value := range gotElements {
			if !bytes.Contains(text, []byte(value)) {
				t.Fatalf("%q is no part of %q", value, text)
			}
		}
		values, valid := reference(text)
		if !valid {
			return
		}
		if diff := cmp.Diff(members(text), gotMembers); diff != "" {
			t.Errorf("Members(%q) (-want +got):\n%s", text, diff)
		}
		for name, values := range values {
			if got := wire.Member(text, name); string(got) != values[0] {
				t.Errorf("Member(%q, %q) = %q, want %q", text, name, got, values[0])
			}
		}
		var want []string
		if d := jsontext.NewDecoder(bytes.NewReader(text), lax...); d.PeekKind() == '[' {
			must(d.ReadToken())
			for d.PeekKind() != ']' {
				want = append(want, string(must(d.ReadValue())))
			}
		}
		if diff := cmp.Diff(want, gotElements); diff != "" {
			t.Errorf("Elements(%q) (-want +got):\n%s", text, diff)
		}
	})
}
