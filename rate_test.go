package llmproxy_test

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/llmproxy/llmproxy"
)

func TestParseRate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want llmproxy.Rate
		out  string
	}{
		{"0", 0, "0"},
		{"3", 3_000_000, "3"},
		{"0.075", 75_000, "0.075"},
		{"0.0028", 2_800, "0.0028"},
		{"2.5e-1", 250_000, "0.25"},
		{"1.50", 1_500_000, "1.5"},
		{"0.000001", 1, "0.000001"},
		{"9223372036854.775807", math.MaxInt64, "9223372036854.775807"},
	} {
		got, err := llmproxy.ParseRate(tt.in)
		if err != nil || got != tt.want || got.String() != tt.out {
			t.Errorf("ParseRate(%q) = %d (%s), %v, want %d (%s)", tt.in, got, got, err, tt.want, tt.out)
		}
	}
	for _, in := range []string{"", "-1", "0.0000001", "x", "1,5", "9223372036854.775808", "1e400"} {
		if got, err := llmproxy.ParseRate(in); !errors.Is(err, llmproxy.ErrMoney) {
			t.Errorf("ParseRate(%q) = %d, %v", in, got, err)
		}
	}
}

func TestParseRatio(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]llmproxy.Ratio{
		"1": {Num: 1, Den: 1}, "1.1": {Num: 11, Den: 10}, "0.5": {Num: 1, Den: 2}, "0": {Num: 0, Den: 1}, "1.25": {Num: 5, Den: 4}, "2e1": {Num: 20, Den: 1},
	} {
		if got, err := llmproxy.ParseRatio(in); err != nil || got != want {
			t.Errorf("ParseRatio(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "-1", "a", "1234567890123456", "1e16", "1e-16"} {
		if got, err := llmproxy.ParseRatio(in); !errors.Is(err, llmproxy.ErrMoney) {
			t.Errorf("ParseRatio(%q) = %v, %v", in, got, err)
		}
	}
}

// Of is exact, and rounds half to even, whatever the numbers: math/big says the same.
func TestRatioOf(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 20_000 {
		u := llmproxy.USD(rnd.Int64N(math.MaxInt64) >> rnd.IntN(63))
		r := llmproxy.Ratio{Num: rnd.Int64N(math.MaxInt64) >> rnd.IntN(63), Den: 1 + rnd.Int64N(math.MaxInt64-1)>>rnd.IntN(63)}
		product := new(big.Int).Mul(big.NewInt(int64(u)), big.NewInt(r.Num))
		want, rest := new(big.Int).QuoRem(product, big.NewInt(r.Den), new(big.Int))
		switch twice := new(big.Int).Lsh(rest, 1).Cmp(big.NewInt(r.Den)); {
		case twice > 0, twice == 0 && want.Bit(0) == 1:
			want.Add(want, big.NewInt(1))
		}
		got, err := r.Of(u)
		if !want.IsInt64() {
			if !errors.Is(err, llmproxy.ErrMoney) {
				t.Fatalf("seed %d: %d × %d/%d = %d, %v, want ErrMoney", seed, u, r.Num, r.Den, got, err)
			}
			continue
		}
		if err != nil || int64(got) != want.Int64() {
			t.Fatalf("seed %d: %d × %d/%d = %d, %v, want %d", seed, u, r.Num, r.Den, got, err, want)
		}
	}
}

func TestRatioTimes(t *testing.T) {
	t.Parallel()
	a, b := llmproxy.Ratio{Num: 11, Den: 10}, llmproxy.Ratio{Num: 5, Den: 4}
	if got, err := a.Times(b); err != nil || got != (llmproxy.Ratio{Num: 11, Den: 8}) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := (llmproxy.Ratio{}).Times(b); err != nil || got != b {
		t.Errorf("got %v, %v", got, err)
	}
	large := llmproxy.Ratio{Num: math.MaxInt64, Den: 1}
	if got, err := large.Times(llmproxy.Ratio{Num: 3, Den: 1}); !errors.Is(err, llmproxy.ErrMoney) {
		t.Errorf("got %v, %v", got, err)
	}
}
