package dashboard_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy/internal/dashboard"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"24h", "2026-11-24T12:00:00Z"},
		{"90m", "2026-11-25T10:30:00Z"},
		{"30d", "2026-10-26T12:00:00Z"},
		{"0d", "2026-11-25T12:00:00Z"},
		{"2026-11-01", "2026-11-01T00:00:00Z"},
		{"2026-11-01T10:00", "2026-11-01T10:00:00Z"},
		{"2026-11-01T10:00:01+02:00", "2026-11-01T08:00:01Z"},
		{"-1h", ""},
		{"1y", ""},
		{"-3d", ""},
		{"99999d", ""},
		{"yesterday", ""},
	} {
		got, err := dashboard.ParseTime(tt.text, noon)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%s is %v", tt.text, got)
		case tt.want != "" && (err != nil || got.Format(time.RFC3339) != tt.want):
			t.Errorf("%s: got %v, %v, want %s", tt.text, got, err, tt.want)
		}
	}
}

// A time that is read is one that can be written and read again, and a span of time leads
// to the past.
func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"", "24h", "30d", "65535d", "1h30m", "2026-11-01", "2026-11-01T10:00:00.5+02:00", "9e9h", "1d1d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := dashboard.ParseTime(text, noon)
		if err != nil || got.IsZero() {
			return
		}
		if last := text[len(text)-1]; (last == 'd' || last == 'h' || last == 'm' || last == 's') && got.After(noon) {
			t.Errorf("%q leads to %v", text, got)
		}
		if year := got.Year(); year < 0 || year > 9999 {
			return // has no such spelling
		}
		again, err := dashboard.ParseTime(got.Format(time.RFC3339Nano), noon)
		if err != nil || !again.Equal(got) {
			t.Errorf("%q is %v, which is read as %v, %v", text, got, again, err)
		}
	})
}

// A query that is taken means the same when it is written again; one that is not is a 400.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "model=a", "since=24h&until=1h", "since=1h&until=24h", "model=%zz", "model=a&model=b", "x=1",
		"tag=team%3Da&outcome=error", "outcome=fine", "model=+a+", "provider=%ff", "a;b", "key=%00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		first, status := dashboard.QueryOf(raw)
		if status != 0 {
			if status != 400 {
				t.Errorf("%q: status %d", raw, status)
			}
			return
		}
		if values, err := url.ParseQuery(first); err != nil || values.Has("") {
			t.Fatalf("%q became %q", raw, first)
		}
		if again, status := dashboard.QueryOf(first); status != 0 || again != first {
			t.Errorf("%q became %q, which became %q (%d)", raw, first, again, status)
		}
	})
}

func TestLocalPath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"/", "/"},
		{"/exchanges?model=a%2Fb", "/exchanges?model=a%2Fb"},
		{"", "/"},
		{"//evil.example", "/"},
		{`/\evil.example`, "/"},
		{"https://evil.example/", "/"},
		{"javascript:alert(1)", "/"},
		{"/\t/evil.example", "/"},
		{"/login", "/"},
	} {
		if got := dashboard.LocalPath(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestOwnHosts(t *testing.T) {
	t.Parallel()
	named := []string{"gateway.internal"}
	for _, tt := range []struct {
		host string
		want bool
	}{
		{"", true},
		{"localhost:8081", true},
		{"x.localhost", true},
		{"127.0.0.1:8081", true},
		{"127.9.9.9", true},
		{"[::1]:8081", true},
		{"LOCALHOST.", true},
		{"Gateway.internal:8081", true},
		{"evil.example:8081", false},
		{"localhost.evil.example", false},
		{"10.0.0.1:8081", false},
		{"0.0.0.0:8081", false},
	} {
		if got := dashboard.IsOwnHost(tt.host, named); got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.host, got, tt.want)
		}
	}
}
