package dashboard_test

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/dashboard"
)

func TestMoneyIsShortened(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   llmproxy.USD
		want string
	}{
		{0, "$0"},
		{1, "<$0.0001"},
		{49_999_999, "<$0.0001"},
		{50_000_000, "$0.0001"},
		{12_345_678_901, "$0.0123"},
		{999_949_999_999, "$0.9999"},
		{999_999_999_999, "$1.0000"},
		{1_000_000_000_000, "$1.00"},
		{1_234_565_000_000_000, "$1,234.57"},
		{9_223_372_036_854_775_807, "$9,223,372.04"},
		{-2_500_000_000_000, "−$2.50"},
		{-9_223_372_036_854_775_808, "−$9,223,372.04"},
	} {
		if got := dashboard.ShortMoney(tt.in); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestCountsAreShortened(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   int64
		want string
	}{
		{0, "0"},
		{999, "999"},
		{1000, "1k"},
		{1001, "1k"},
		{1010, "1.01k"},
		{10_050, "10k"},
		{1100, "1.1k"},
		{1999, "1.99k"},
		{12_345, "12.3k"},
		{123_456, "123k"},
		{1_000_000, "1M"},
		{2_345_678, "2.34M"},
		{7_000_000_000, "7B"},
		{1_500_000_000_000, "1.5T"},
		{-1234, "−1,234"},
	} {
		if got := dashboard.ShortCount(tt.in); got != tt.want {
			t.Errorf("%d: got %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestDurationsAreShortened(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in         time.Duration
		want, axis string
	}{
		{0, "0 ms", "0 ms"},
		{900 * time.Microsecond, "<1 ms", "<1 ms"},
		{812 * time.Millisecond, "812 ms", "812 ms"},
		{2500 * time.Millisecond, "2.50 s", "2.5 s"},
		{50 * time.Second, "50.0 s", "50 s"},
		{125 * time.Second, "2 min 05 s", "125 s"},
		{3 * time.Hour, "3 h 00 min", "10800 s"},
	} {
		if got := dashboard.ShortDuration(tt.in); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.in, got, tt.want)
		}
		if got := dashboard.AxisDuration(tt.in); got != tt.axis {
			t.Errorf("%v on an axis: got %s, want %s", tt.in, got, tt.axis)
		}
	}
}

func TestTimesAreRelative(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		before time.Duration
		want   string
	}{
		{0, "now"},
		{59 * time.Second, "59 s ago"},
		{90 * time.Second, "1 min ago"},
		{23 * time.Hour, "23 h ago"},
		{25 * time.Hour, "1 d ago"},
		{61 * 24 * time.Hour, "2026-09-25"},
		{-time.Minute, "2026-11-25 12:01"},
	} {
		if got := dashboard.Ago(noon.Add(-tt.before), noon); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.before, got, tt.want)
		}
	}
	if got := dashboard.Ago(time.Time{}, noon); got != "never" {
		t.Errorf("the zero time: got %q", got)
	}
}

func TestPercent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		part, whole int64
		want        string
	}{
		{0, 0, "–"},
		{0, 7, "0.0 %"},
		{1, 100_000, "<0.1 %"},
		{1, 3, "33.3 %"},
		{7, 7, "100.0 %"},
		{4_611_686_018_427_387_904, 9_223_372_036_854_775_807, "50.0 %"},
	} {
		if got := dashboard.Percent(tt.part, tt.whole); got != tt.want {
			t.Errorf("%d of %d: got %s, want %s", tt.part, tt.whole, got, tt.want)
		}
	}
	for _, tt := range []struct {
		now, before int64
		want        string
	}{{5, 0, ""}, {112, 100, "+12 %"}, {100, 100, "±0 %"}, {40, 100, "−60 %"}, {0, 3, "−100 %"}, {5000, 3, ">+900 %"}} {
		if got := dashboard.Change(tt.now, tt.before); got != tt.want {
			t.Errorf("%d after %d: got %q, want %q", tt.now, tt.before, got, tt.want)
		}
	}
}

// The ratio is the rounded fraction, whatever the amounts are.
func TestRatioIsExact(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		part, whole, scale := r.Int64()>>r.IntN(63), r.Int64()>>r.IntN(62)+1, r.Int64N(10_001)
		want := new(big.Int).Mul(big.NewInt(part), big.NewInt(scale))
		want.Add(want, big.NewInt(whole/2)).Div(want, big.NewInt(whole))
		got, ok := dashboard.Ratio(part, whole, scale)
		if ok != want.IsInt64() || ok && got != want.Int64() {
			t.Fatalf("%d of %d, of %d: got %d %t, want %s", part, whole, scale, got, ok, want)
		}
	}
}

func TestPercentilesAreNearestRanks(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		durations := make([]time.Duration, 1+r.IntN(300))
		for i := range durations {
			durations[i] = time.Duration(1 + r.IntN(1000))
		}
		count, p50, p95, p99 := dashboard.PercentilesOf(slices.Clone(durations))
		if count != len(durations) {
			t.Fatalf("got %d, want %d", count, len(durations))
		}
		for p, got := range map[int]time.Duration{50: p50, 95: p95, 99: p99} {
			// The least of them such that at least p of a hundred are not longer.
			want := time.Duration(0)
			for _, candidate := range durations {
				within := 0
				for _, d := range durations {
					if d <= candidate {
						within++
					}
				}
				if 100*within >= p*len(durations) && (want == 0 || candidate < want) {
					want = candidate
				}
			}
			if got != want {
				t.Fatalf("p%d of %d: got %d, want %d", p, durations, got, want)
			}
		}
	}
	if count, p50, _, _ := dashboard.PercentilesOf(nil); count != 0 || p50 != 0 {
		t.Errorf("of nothing: got %d and %v", count, p50)
	}
}

// A scale of four round steps reaches what is drawn, and is not much higher.
func TestNiceStep(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		most := r.Int64()>>(3+r.IntN(60)) + 1
		step := dashboard.NiceStep(most)
		if 4*step < most || most > 400 && step > most/2 {
			t.Fatalf("%d: the step is %d", most, step)
		}
	}
	for most, want := range map[int64]int64{1: 1, 4: 1, 5: 2, 33: 10, 41: 15, 4_100: 1_500, 9_000_000_000_000: 2_500_000_000_000} {
		if got := dashboard.NiceStep(most); got != want {
			t.Errorf("%d: got %d, want %d", most, got, want)
		}
	}
}

func TestWindows(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 10, 40, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, first string
		step        time.Duration
		steps       int
		ticks       []string
	}{
		{"1h", "2026-11-25T09:40:00Z", 5 * time.Minute, 13, []string{"09:45", "10:00", "10:15", "10:30"}},
		{"24h", "2026-11-24T10:00:00Z", time.Hour, 25, []string{"12:00", "15:00", "18:00", "21:00", "00:00", "03:00", "06:00", "09:00"}},
		{"", "2026-11-24T10:00:00Z", time.Hour, 25, []string{"12:00", "15:00", "18:00", "21:00", "00:00", "03:00", "06:00", "09:00"}},
		{"7d", "2026-11-18T06:00:00Z", 6 * time.Hour, 29, []string{"19 Nov", "20 Nov", "21 Nov", "22 Nov", "23 Nov", "24 Nov", "25 Nov"}},
	} {
		got, err := dashboard.WindowOf(tt.name, now)
		if err != nil {
			t.Error(err)
			continue
		}
		if first := got.First.Format(time.RFC3339); first != tt.first || got.Step != tt.step || got.Steps != tt.steps || !slices.Equal(got.Ticks, tt.ticks) {
			t.Errorf("%q: got %s, %v, %d, %q", tt.name, first, got.Step, got.Steps, got.Ticks)
		}
	}
	if _, err := dashboard.WindowOf("2y", now); err == nil || err.Error() != `range: "2y" is none of 1h, 24h, 7d, 30d` {
		t.Errorf("got %v", err)
	}
}

// What is drawn is as high as it is worth: 160 pixels are the top of the scale.
func TestBarsAreToScale(t *testing.T) {
	t.Parallel()
	got := dashboard.BarHeights(noon, []int64{40, 0}, []int64{10, 30}, []int64{0, 0}, []int64{1, 1})
	want := [][]int{{160}, {40, 120}, nil, {4, 4}}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("column %d: got %d, want %d", i, got[i], want[i])
		}
	}
}
