package keys_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy/keys"
	"github.com/llmproxy/llmproxy/keys/keystest"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 999_999, time.UTC)

func TestNew(t *testing.T) {
	t.Parallel()
	want := keystest.Full()
	want.Expires = noon.Add(time.Hour)
	k, secret, err := keys.New(want, noon.In(time.FixedZone("", 3600)))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(k.ID, "key_") || len(k.ID) != 20 || strings.Trim(k.ID[4:], "abcdefghijklmnopqrstuvwxyz234567") != "" {
		t.Errorf("the ID is %q", k.ID)
	}
	if k.Hash != secret.Hash() {
		t.Error("the hash is not that of the secret")
	}
	whole := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	want.ID, want.Hash, want.Created, want.Expires = k.ID, k.Hash, whole, whole.Add(time.Hour)
	if !reflect.DeepEqual(k, want) {
		t.Errorf("got %+v, want %+v", k, want)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key  keys.Key
		want string
	}{
		{keys.Key{}, "a key needs a name"},
		{keys.Key{Name: "a\nb"}, "the name of a key is at most 128 bytes of printable text"},
		{keys.Key{Name: strings.Repeat("a", 129)}, "the name of a key is at most 128 bytes of printable text"},
		{keys.Key{Name: "a", Expires: noon}, "the key would have expired already"},
		{keys.Key{Name: "a", RPM: -1}, "a limit of requests or tokens is not negative"},
		{keys.Key{Name: "a", Budget: 1}, "a budget needs a period: day, month or total"},
		{keys.Key{Name: "a", Budget: -1, Per: keys.PerDay}, "a budget is between $0 and $1000000"},
		{keys.Key{Name: "a", Budget: keys.MaxBudget + 1, Per: keys.PerDay}, "a budget is between $0 and $1000000"},
		{keys.Key{Name: "a", Per: "week"}, `"week" is no period of a budget: want day, month or total`},
		{keys.Key{Name: "a", Models: []string{""}}, `"" is no pattern: want at most 128 bytes, and eight asterisks`},
		{keys.Key{Name: "a", Providers: []string{"*********"}}, `"*********" is no pattern: want at most 128 bytes, and eight asterisks`},
		{keys.Key{Name: "a", Tags: map[string]string{"a,b": "c"}}, `"a,b=c" is no tag: want name=value, each at most 64 bytes, without commas`},
		{keys.Key{Name: "a", Tags: map[string]string{"": "c"}}, `"=c" is no tag: want name=value, each at most 64 bytes, without commas`},
	} {
		_, secret, err := keys.New(tt.key, noon)
		if err == nil || err.Error() != tt.want || secret != "" {
			t.Errorf("%+v: got %v, want %s", tt.key, err, tt.want)
		}
	}
}

func TestKeyJSON(t *testing.T) {
	t.Parallel()
	k := keystest.Full()
	k.ID, k.Created, k.Hash = "key_a", noon.Truncate(time.Millisecond), keys.Hash{1}
	text, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"key_a","name":"nightly \"batch\" ü","created":"2026-11-23T12:00:00Z","expires":"2026-12-23T10:00:00.123Z",` +
		`"models":["gpt-5*","openai/o3"],"providers":["openai","my-*"],"tags":{"feature":"b c","team":"a"},` +
		`"rpm":60,"tpm":1000000,"budget_usd":"5.000000000001","per":"month","unmetered":true}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	back := keys.Key{Hash: k.Hash}
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, k) {
		t.Errorf("got back %+v, %v, want %+v", back, err, k)
	}
	if text, _ := json.Marshal(keys.Key{ID: "key_b", Name: "b", Per: keys.Total}); string(text) != `{"id":"key_b","name":"b","created":"0001-01-01T00:00:00Z","budget_usd":"0","per":"total"}` {
		t.Errorf("a budget of nothing: %s", text)
	}
	for _, text := range []string{`{"budget_usd":"1,5"}`, `{"budget_usd":1.5}`, `[]`} {
		if err := json.Unmarshal([]byte(text), &keys.Key{}); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key  keys.Key
		want bool
	}{
		{keys.Key{}, true},
		{keys.Key{Expires: noon.Add(1)}, true},
		{keys.Key{Expires: noon}, false},
		{keys.Key{Revoked: noon}, false},
		{keys.Key{Revoked: noon.Add(time.Hour)}, false},
	} {
		if got := tt.key.Valid(noon); got != tt.want {
			t.Errorf("%+v: got %t, want %t", tt.key, got, tt.want)
		}
	}
}

func TestPeriod(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 12, 31, 23, 30, 0, 0, time.FixedZone("", -3600)) // 2027 in UTC
	for _, tt := range []struct {
		period      keys.Period
		start, next time.Time
	}{
		{keys.PerDay, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)},
		{keys.PerMonth, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)},
		{keys.Total, time.Time{}, time.Time{}},
		{keys.NoPeriod, time.Time{}, time.Time{}},
	} {
		if start, next := tt.period.Start(at), tt.period.Next(at); start != tt.start || next != tt.next {
			t.Errorf("%q: from %v to %v, want from %v to %v", tt.period, start, next, tt.start, tt.next)
		}
	}
	for _, text := range []string{"day", "month", "total"} {
		if p, err := keys.ParsePeriod(text); err != nil || string(p) != text {
			t.Errorf("%s: got %q, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "Day", "year"} {
		if p, err := keys.ParsePeriod(text); err == nil {
			t.Errorf("%q was read as %q", text, p)
		}
	}
}
