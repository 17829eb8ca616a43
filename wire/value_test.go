package wire_test

import (
	"math"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/llmproxy/llmproxy/wire"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value string
		want  wire.Kind
	}{
		{"", wire.Invalid},
		{" \t\r\n", wire.Invalid},
		{"x", wire.Invalid},
		{"]", wire.Invalid},
		{"NaN", wire.Invalid},
		{"\xef\xbb\xbf1", wire.Invalid},
		{"null", wire.Null},
		{"true", wire.Boolean},
		{" false", wire.Boolean},
		{"0", wire.Number},
		{"\n-9", wire.Number},
		{`"`, wire.Text},
		{"[1]", wire.Array},
		{"\t{", wire.Object},
	} {
		if got := wire.KindOf([]byte(tt.value)); got != tt.want {
			t.Errorf("KindOf(%q) = %v, want %v", tt.value, got, tt.want)
		}
	}
	for kind, want := range []string{"invalid", "null", "boolean", "number", "string", "array", "object", "invalid"} {
		if got := wire.Kind(kind).String(); got != want {
			t.Errorf("Kind(%d) = %s, want %s", kind, got, want)
		}
	}
}

func TestNullAndBool(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value         string
		null, v, isOK bool
	}{
		{"null", true, false, false},
		{" null\n", true, false, false},
		{"nul", false, false, false},
		{"nulll", false, false, false},
		{"", false, false, false},
		{"true", false, true, true},
		{"\ttrue ", false, true, true},
		{"false", false, false, true},
		{"falsey", false, false, false},
		{`"true"`, false, false, false},
		{"1", false, false, false},
	} {
		if got := wire.IsNull([]byte(tt.value)); got != tt.null {
			t.Errorf("IsNull(%q) = %v", tt.value, got)
		}
		if v, ok := wire.Bool([]byte(tt.value)); v != tt.v || ok != tt.isOK {
			t.Errorf("Bool(%q) = %v, %v; want %v, %v", tt.value, v, ok, tt.v, tt.isOK)
		}
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ value, want string }{
		{`""`, ""},
		{`"a"`, "a"},
		{"\n \"a b\" \t", "a b"},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t"},
		{`"é \u00e9 \u00E9 \u0000"`, "é é é \x00"},
		{`"\ud83d\ude00"`, "😀"},
		{`"\uD83D\uDE00!"`, "😀!"},
		{`"\ud83d"`, "\uFFFD"},
		{`"\ude00"`, "\uFFFD"},
		{`"\ud83d\ud83d\ude00"`, "\uFFFD😀"},
		{`"\ud83dx"`, "\uFFFDx"},
		{`"\ud83d\n"`, "\uFFFD\n"},
		{`"\ude00\ud83d"`, "\uFFFD\uFFFD"},
		{`"\ud83d\u0041"`, "\uFFFDA"},
		{`"\uffff\u2028"`, "\uFFFF\u2028"},
		{"\"a\xffb\"", "a\uFFFDb"},
		{"\"\\n\xc3\"", "\n\uFFFD"},
		{"\"\x7f\"", "\x7f"},
	} {
		if got, ok := wire.String([]byte(tt.value)); got != tt.want || !ok {
			t.Errorf("String(%q) = %q, %v; want %q", tt.value, got, ok, tt.want)
		}
	}
	for _, bad := range []string{
		"", " ", `"`, `"a`, `a"`, "null", "1", "[]", `"a" b`, `"a""b"`, `"a"b"`, "\"\n\"", "\"\x00\"",
		`"\"`, `"\x"`, `"\u12"`, `"\u123`, `"\u12g4"`, `"\ud83d\u12"`, `"\`, `'a'`,
	} {
		if got, ok := wire.String([]byte(bad)); ok || got != "" {
			t.Errorf("String(%q) = %q, %v; want none", bad, got, ok)
		}
	}
}

func TestInt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value string
		want  int64
	}{
		{"0", 0},
		{"-0", 0},
		{"0.000", 0},
		{"-0e7", 0},
		{"0e99999999999999999999", 0},
		{" 12\n", 12},
		{"-12", -12},
		{"12.0", 12},
		{"1.2e1", 12},
		{"1.2E+1", 12},
		{"120e-1", 12},
		{"0.00012e5", 12},
		{"1200000000000000000000000e-23", 12},
		{"10.05e2", 1005},
		{"1" + strings.Repeat("0", 30) + "e-30", 1},
		{"0." + strings.Repeat("0", 30) + "1e31", 1},
		{"100.00", 100},
		{"9223372036854775807", math.MaxInt64},
		{"-9223372036854775808", math.MinInt64},
		{"-9223372036854775808.0", math.MinInt64},
		{"-922337203685477580.8e1", math.MinInt64},
		{"9.223372036854775807e18", math.MaxInt64},
		{"1e18", 1e18},
	} {
		if got, ok := wire.Int([]byte(tt.value)); got != tt.want || !ok {
			t.Errorf("Int(%q) = %d, %v; want %d", tt.value, got, ok, tt.want)
		}
	}
	for _, bad := range []string{
		"", " ", "-", "x", "null", "true", `"12"`, "[1]", "{}", "01", "+1", "1.", ".5", "1e", "1e+", "1 2", "1x", "1e5x", "--1",
		"0.5", "12.5", "1e-1", "1.25e1", "-0.1", "1e-99999999999999999999", "0." + strings.Repeat("0", 400) + "1",
		"9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "18446744073709551619",
		"1e19", "1e99999999999999999999", "1" + strings.Repeat("0", 400), "NaN", "Infinity", "-Infinity",
		"184467440737095516150", "12345678901234567890123",
	} {
		if got, ok := wire.Int([]byte(bad)); ok {
			t.Errorf("Int(%q) = %d, want none", bad, got)
		}
	}
}

func TestReadingNumbersAllocatesNothing(t *testing.T) {
	value := []byte(" 1.2e1 ")
	if n := testing.AllocsPerRun(100, func() { wire.Int(value) }); n != 0 {
		t.Errorf("Int: %v allocations", n)
	}
	for _, value := range []string{`"plain"`, `"esc\u00e9\n"`} {
		value := []byte(value)
		if n := testing.AllocsPerRun(100, func() { wire.String(value) }); n != 1 {
			t.Errorf("String(%q): %v allocations, want 1", value, n)
		}
	}
}

// Values read as the reference reads them; what it refuses is no value.
func FuzzValue(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	for _, s := range []string{
		"12.0", "1.2e1", "-9223372036854775808", "9223372036854775808", "100e-2", "0.1e1", "-0e0", "1e18",
		"18446744073709551616", "123456789012345678901e-2", `"\ud83d\ude00\ud83d"`, "\"a\xffb\"", " true", "null ",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		kind := wire.KindOf(value)
		s, isString := wire.String(value)
		n, isInt := wire.Int(value)
		b, isBool := wire.Bool(value)
		null := wire.IsNull(value)
		if !jsontext.Value(value).IsValid(lax...) {
			if isString || isInt || isBool || null {
				t.Fatalf("%q is read, the reference refuses it", value)
			}
			return
		}
		text := strings.Trim(string(value), " \t\r\n")
		want := map[byte]wire.Kind{
			'n': wire.Null, 't': wire.Boolean, 'f': wire.Boolean, '"': wire.Text, '[': wire.Array, '{': wire.Object,
		}[text[0]]
		if want == wire.Invalid {
			want = wire.Number
		}
		if kind != want {
			t.Errorf("KindOf(%q) = %v, want %v", value, kind, want)
		}
		if isString != (kind == wire.Text) {
			t.Errorf("String(%q): ok = %v", value, isString)
		}
		if isString {
			want, _ := jsontext.AppendUnquote(nil, text) // mangled all the same when it is not UTF-8
			if s != string(want) {
				t.Errorf("String(%q) = %q, want %q", value, s, want)
			}
			if !utf8.ValidString(s) {
				t.Errorf("String(%q) = %q is not UTF-8", value, s)
			}
		}
		if isBool != (kind == wire.Boolean) || b != (text == "true") {
			t.Errorf("Bool(%q) = %v, %v", value, b, isBool)
		}
		if null != (kind == wire.Null) {
			t.Errorf("IsNull(%q) = %v", value, null)
		}
		if kind != wire.Number {
			if isInt {
				t.Errorf("Int(%q) = %d", value, n)
			}
			return
		}
		if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 6 {
			return // an exponent too large for the reference
		}
		r, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("the reference does not read %q", text)
		}
		if wantInt := r.IsInt() && r.Num().IsInt64(); isInt != wantInt || isInt && n != r.Num().Int64() {
			t.Errorf("Int(%q) = %d, %v; want %v", value, n, isInt, r)
		}
	})
}
