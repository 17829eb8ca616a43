package llmproxy_test

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/llmproxy/llmproxy"
)

func TestParseUSD(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want llmproxy.USD
		out  string
	}{
		{"0", 0, "0"},
		{"-0.0", 0, "0"},
		{"1", 1e12, "1"},
		{"0.01365", 13_650_000_000, "0.01365"},
		{"1.365e-2", 13_650_000_000, "0.01365"},
		{"136500E-7", 13_650_000_000, "0.01365"},
		{"0.000000000001", 1, "0.000000000001"},
		{"0.0000000000005", 0, "0"}, // half to even
		{"0.0000000000015", 2, "0.000000000002"},
		{"0.00000000000050000001", 1, "0.000000000001"},
		{"0.00000000000004", 0, "0"},
		{"9e-100", 0, "0"},
		{"-2.5", -25e11, "-2.5"},
		{"9223372.036854775807", math.MaxInt64, "9223372.036854775807"},
		{"-9223372.036854775808", math.MinInt64, "-9223372.036854775808"},
	} {
		got, err := llmproxy.ParseUSD(tt.in)
		if err != nil || got != tt.want || got.String() != tt.out {
			t.Errorf("ParseUSD(%q) = %d (%s), %v, want %d (%s)", tt.in, got, got, err, tt.want, tt.out)
		}
	}
	for _, in := range []string{"", "-", ".", ".5", "1,5", "NaN", "Inf", "0x1", "1e", "1e9999", "1 ", "$1", "9223372.036854775808", "-9223372.036854775809", "1e7", "9223372.0368547758075"} {
		if got, err := llmproxy.ParseUSD(in); err != llmproxy.ErrMoney { //nolint:errorlint // the very error
			t.Errorf("ParseUSD(%q) = %d, %v", in, got, err)
		}
	}
}

// What is printed can be read, and is the same; what is read agrees with exact
// arithmetic.
func FuzzParseUSD(f *testing.F) {
	f.Add("0.01365")
	f.Add("1.5e-12")
	f.Add("-9223372.036854775808")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := llmproxy.ParseUSD(text)
		if err != nil {
			return
		}
		again, err := llmproxy.ParseUSD(u.String())
		if err != nil || again != u {
			t.Fatalf("%q is %d, printed %s, read %d, %v", text, u, u, again, err)
		}
		exact, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%q was read as %s", text, u)
		}
		exact.Mul(exact, big.NewRat(1e12, 1))
		off := exact.Sub(exact, big.NewRat(int64(u), 1))
		if off.Abs(off).Cmp(big.NewRat(1, 2)) > 0 {
			t.Fatalf("%q was read as %s, which is off by %s", text, u, off)
		}
	})
}

func ExampleUSD_String() {
	fmt.Println(llmproxy.USD(2_080_000_000))
	// Output: 0.00208
}
