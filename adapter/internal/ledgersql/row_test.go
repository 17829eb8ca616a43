package ledgersql

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/llmproxy/llmproxy"
)

func TestColumnText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"gpt-5", "gpt-5"},
		{"日本", "日本"},
		{"a\xff\xfeb", "a\ufffd\ufffdb"}, // as in a record's JSON: one for each byte
		{strings.Repeat("x", maxText), strings.Repeat("x", maxText)},
		{"a\x00b", "a?b#59b271ae1bbcb1d31d41929817f4b16fb439eb4f31520b5ad1d5ce98920a7138"},
	} {
		if got := columnText(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
	// 335 bytes of the text, which end inside a letter, and the hash.
	got := columnText(strings.Repeat("語", 200))
	if text, hash, _ := strings.Cut(got, "#"); text != strings.Repeat("語", 111) || len(hash) != 64 {
		t.Errorf("200 letters: got %q", got)
	}
}

// Whatever the text, its column is one that Postgres takes and indexes; two texts share a
// column only if they share their JSON.
func FuzzColumnText(f *testing.F) {
	f.Add("", "a")
	f.Add("a\x00", "a?")
	f.Add("\xff", "\ufffd")
	f.Add(strings.Repeat("x", 500), strings.Repeat("x", 501))
	f.Add(strings.Repeat("語", 200), strings.Repeat("語", 201))
	f.Fuzz(func(t *testing.T, a, b string) {
		column, other := columnText(a), columnText(b)
		if len(column) > maxText || !utf8.ValidString(column) || strings.IndexByte(column, 0) >= 0 {
			t.Errorf("%q: got %q", a, column)
		}
		if same := string([]rune(a)) == string([]rune(b)); same != (column == other) {
			t.Errorf("%q and %q have the columns %q and %q", a, b, column, other)
		}
	})
}

func TestColumnTags(t *testing.T) {
	t.Parallel()
	for _, tags := range []map[string]string{
		{"team": "a"},
		{"b": "", "a": `"\'`, "": "x", "日": "\u2028"},
	} {
		var got map[string]string
		if err := json.Unmarshal([]byte(columnTags(tags)), &got); err != nil || !maps.Equal(got, tags) {
			t.Errorf("%q: got %s, %v", tags, columnTags(tags), err)
		}
	}
	if got := columnTags(map[string]string{"b": "2", "a": "1"}); got != `{"a":"1","b":"2"}` {
		t.Errorf("got %s", got)
	}
	if got := columnTags(map[string]string{}); got != "" {
		t.Errorf("without tags: got %q", got)
	}
}

// Every count of a usage has a column, and no two share one.
func TestCountersAreAllCounts(t *testing.T) {
	t.Parallel()
	var u llmproxy.Usage
	v := reflect.ValueOf(&u).Elem()
	if v.NumField() != len(counterColumns) {
		t.Fatalf("%d columns for %d counts", len(counterColumns), v.NumField())
	}
	for i, n := range counters(&u) {
		*n += int64(i + 1)
	}
	seen := map[int64]bool{}
	for i := range v.NumField() {
		if n := v.Field(i).Int(); n == 0 || seen[n] {
			t.Errorf("%s has no column, or shares one", v.Type().Field(i).Name)
		} else {
			seen[n] = true
		}
	}
}

func TestNewRows(t *testing.T) {
	t.Parallel()
	r := func(id string, revision int, model string) llmproxy.Record {
		return llmproxy.Record{ID: id, Revision: revision, Model: model}
	}
	rows := newRows([]llmproxy.Record{r("b", 0, "1"), r("a", 1, "2"), r("b", 0, "3"), r("a", 0, "4"), r("a", 1, "5"), r("c", 0, "6")})
	var got []string
	for _, row := range rows {
		got = append(got, row.ID+row.Model)
	}
	if want := []string{"a2", "b1", "c6"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRoundUp(t *testing.T) {
	t.Parallel()
	at := func(ns int) time.Time { return time.Date(2026, 11, 23, 10, 0, 0, ns, time.UTC) }
	for _, tt := range []struct{ in, want time.Time }{
		{at(0), at(0)},
		{at(1), at(1_000_000)},
		{at(1_000_000), at(1_000_000)},
		{at(1_999_999), at(2_000_000)},
		{time.Unix(-1, 999_000_001).UTC(), time.Unix(0, 0).UTC()},
	} {
		if got := roundUp(tt.in); !got.Equal(tt.want) {
			t.Errorf("%v: got %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestHalves(t *testing.T) {
	t.Parallel()
	for _, amounts := range [][]int64{
		{},
		{0},
		{1},
		{-1},
		{math.MaxInt64},
		{math.MinInt64},
		{math.MaxInt64, -1, 1},
		{math.MaxInt64, math.MaxInt64, math.MinInt64},
		{1<<32 - 1, 1<<32 - 1, -5},
	} {
		var h halves
		var want int64
		for _, n := range amounts {
			h.high += n >> 32
			h.low += n & 0xffffffff
			want += n // wraps, and back
		}
		if got, err := h.usd(); err != nil || got != llmproxy.USD(want) {
			t.Errorf("%d: got %d, %v, want %d", amounts, got, err, want)
		}
	}
	for _, amounts := range [][]int64{{math.MaxInt64, 1}, {math.MinInt64, -1}, {math.MaxInt64, math.MaxInt64, math.MaxInt64}, {math.MinInt64, math.MinInt64}} {
		var h halves
		for _, n := range amounts {
			h.high += n >> 32
			h.low += n & 0xffffffff
		}
		if got, err := h.usd(); !errors.Is(err, llmproxy.ErrMoney) {
			t.Errorf("%d: got %d, %v, want ErrMoney", amounts, got, err)
		}
	}
}

func TestMilliseconds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   int64
		want time.Duration
	}{
		{0, 0},
		{1500, 1500 * time.Millisecond},
		{math.MaxInt64 / 1_000_000, math.MaxInt64 / 1_000_000 * time.Millisecond},
		{math.MaxInt64/1_000_000 + 1, math.MaxInt64},
		{math.MaxInt64, math.MaxInt64},
	} {
		if got := milliseconds(tt.in); got != tt.want {
			t.Errorf("%d: got %d, want %d", tt.in, got, tt.want)
		}
	}
}
