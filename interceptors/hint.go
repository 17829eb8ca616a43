package interceptors

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy/wire"
)

// longestHint is the longest pause that is believed. What asks for more is a clock gone
// wrong or a limit that no request waits for.
const longestHint = 24 * time.Hour

// Wait returns how long the provider asks to be left alone, as of now; ok is false where
// it does not say. It is more than nothing and at most a day: other values are ignored,
// and the next place is looked at. The places are, in this order:
//
//   - Retry-After-Ms, then Retry-After, in seconds or as a date
//   - of a 429, the fields that say when its limits are reset: X-Ratelimit-Reset-Requests
//     and its many spellings
//   - of a 429, 503 or 529, the body: RetryInfo of Google's APIs, "try again in 20s" of
//     OpenAI's message. Those of other statuses may quote what the client has sent.
func (f *Failure) Wait(now time.Time) (pause time.Duration, ok bool) {
	if pause, ok = f.waitOfHeader(now); ok {
		return pause, ok
	}
	return f.waitOfBody()
}

// waitOfHeader is Wait by the header alone.
func (f *Failure) waitOfHeader(now time.Time) (pause time.Duration, ok bool) {
	if f.Status == 0 {
		return 0, false
	}
	if v := strings.TrimSpace(f.Header.Get("Retry-After-Ms")); v != "" {
		if d, ok := duration(v, "ms"); ok && believed(d) {
			return d, true
		}
	}
	if d, ok := parsePause(f.Header.Get("Retry-After"), now); ok {
		return d, true
	}
	if f.Status == http.StatusTooManyRequests {
		return resetOf(f.Header, now)
	}
	return 0, false
}

// waitOfBody is Wait by the body alone.
func (f *Failure) waitOfBody() (pause time.Duration, ok bool) {
	switch f.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, 529:
		return bodyHint(f.Body)
	}
	return 0, false
}

func believed(d time.Duration) bool { return d > 0 && d <= longestHint }

// parsePause reads a pause or the time of its end: a number of seconds, a duration such
// as 6m0s (OpenAI), seconds or milliseconds since 1970 (OpenRouter), RFC 3339
// (Anthropic), or an HTTP date.
func parsePause(v string, now time.Time) (d time.Duration, ok bool) {
	v = strings.TrimSpace(v)
	if v == "" || v[0] == '-' || v[0] == '+' {
		return 0, false
	}
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		switch {
		case n >= 1e11:
			d = time.UnixMilli(n).Sub(now)
		case n >= 1e9:
			d = time.Unix(n, 0).Sub(now)
		case n <= int64(longestHint/time.Second):
			d = time.Duration(n) * time.Second
		}
		return d, believed(d)
	}
	if d, ok := duration(v, "s"); ok {
		return d, believed(d)
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		t, err = http.ParseTime(v)
	}
	if err != nil {
		return 0, false
	}
	d = t.Sub(now)
	return d, believed(d)
}

// duration reads a number of units, such as 1.5, or a duration with units of its own.
func duration(v, unit string) (d time.Duration, ok bool) {
	if strings.Trim(v, "0123456789.") == "" {
		v += unit
	}
	d, err := time.ParseDuration(v)
	return d, err == nil
}

// resetOf returns when the limit that was hit is reset. Limits that have nothing left are
// those that were hit, and the last of them counts. Where each has something left, too
// little for this request, the first one to be reset is the one to try.
func resetOf(h http.Header, now time.Time) (pause time.Duration, ok bool) {
	hit := false
	for name, values := range h {
		if len(values) == 0 || !strings.Contains(name, "Reset") || !strings.Contains(name, "atelimit") {
			continue
		}
		d, good := parsePause(values[0], now)
		if !good {
			continue
		}
		empty := h.Get(strings.Replace(name, "Reset", "Remaining", 1)) == "0"
		switch {
		case empty && !hit, empty && d > pause, !empty && !hit && (!ok || d < pause):
			pause = d
		}
		hit, ok = hit || empty, true
	}
	return pause, ok
}

// bodyHint reads what the body of a failure says about when to come back.
func bodyHint(body []byte) (d time.Duration, ok bool) {
	fault := faultOf(body)
	for detail := range wire.Elements(wire.Member(fault, "details")) {
		v, isText := wire.String(wire.Member(detail, "retryDelay"))
		if !isText {
			continue
		}
		if d, err := time.ParseDuration(v); err == nil && believed(d) {
			return d, true
		}
	}
	message := strings.ToLower(messageOf(fault))
	for _, phrase := range [...]string{"try again in ", "retry in ", "retry after "} {
		if _, rest, found := strings.Cut(message, phrase); found {
			if d, ok := spokenPause(rest); ok {
				return d, true
			}
		}
	}
	return 0, false
}

// faultOf returns the object that describes the fault: the member error, or what is
// around it. Google wraps it in an array where the answer was to be a stream.
func faultOf(body []byte) []byte {
	if wire.KindOf(body) == wire.Array {
		for first := range wire.Elements(body) {
			body = first
			break
		}
	}
	if fault := wire.Member(body, "error"); wire.KindOf(fault) == wire.Object {
		return fault
	}
	return body
}

// messageOf returns the text of a fault. xAI's stands in error, where others have the
// object.
func messageOf(fault []byte) string {
	for _, name := range [...]string{"message", "error"} {
		if s, ok := wire.String(wire.Member(fault, name)); ok {
			return s
		}
	}
	return ""
}

// spokenPause reads the duration at the beginning of a sentence's rest, in lower case:
// "1.5s.", "6m0s", "26 seconds".
func spokenPause(rest string) (d time.Duration, ok bool) {
	first, rest, _ := strings.Cut(rest, " ")
	first = strings.TrimRight(first, ".,;:!)")
	if first == "" || first[0] < '0' || first[0] > '9' {
		return 0, false
	}
	if d, err := time.ParseDuration(first); err == nil {
		return d, believed(d)
	}
	for _, unit := range [...]struct{ word, symbol string }{
		{"ms", "ms"}, {"milli", "ms"}, {"min", "m"}, {"h", "h"}, {"s", "s"},
	} {
		if strings.HasPrefix(rest, unit.word) {
			d, err := time.ParseDuration(first + unit.symbol)
			return d, err == nil && believed(d)
		}
	}
	return 0, false
}
