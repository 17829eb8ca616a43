package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// The parameters of a question to the ledger. Those of the command llmproxy usage have the
// same names and meanings.
const (
	paramSince      = "since"
	paramUntil      = "until"
	paramBy         = "by"
	paramProvider   = "provider"
	paramModel      = "model"
	paramKey        = "key"
	paramTag        = "tag"
	paramOutcome    = "outcome"
	paramConnection = "connection"
	paramID         = "id"
	paramAfter      = "after"
	paramLimit      = "limit"
	paramOrder      = "order"
	paramRange      = "range"
)

// filterParams are those that select records, in the order in which they are shown.
func filterParams() []string {
	return []string{
		paramProvider, paramModel, paramKey, paramTag, paramOutcome, paramConnection,
		paramSince, paramUntil,
	}
}

// maxParam bounds a parameter, in bytes: names of models are the longest.
const maxParam = 512

// queryOf returns the parameters of r, of which only the named may be there, each once.
// One without a value counts as absent: forms send those that were left empty.
func queryOf(r *http.Request, names ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, apiError{
			status: http.StatusBadRequest, Type: "invalid_request_error", Code: "invalid_request",
			Message: "the query is not well-formed",
		}
	}
	given := make([]string, 0, len(values))
	for name := range values {
		given = append(given, name)
	}
	slices.Sort(given) // so that of two faults always the same is told
	for _, name := range given {
		texts := values[name]
		switch {
		case !slices.Contains(names, name):
			return nil, apiError{
				status: http.StatusBadRequest, Type: "invalid_request_error", Code: "unknown_parameter",
				Message: fmt.Sprintf("%s is no parameter here: there are %s", shorten(strconv.Quote(name), 80), strings.Join(names, ", ")),
			}
		case len(texts) > 1:
			return nil, invalid(name, "is there more than once")
		case len(texts[0]) > maxParam:
			return nil, invalid(name, fmt.Sprintf("is longer than %d bytes", maxParam))
		case !utf8.ValidString(texts[0]) || strings.ContainsRune(texts[0], 0):
			return nil, invalid(name, "is no text")
		case strings.TrimSpace(texts[0]) == "":
			values.Del(name)
		default:
			values[name] = []string{strings.TrimSpace(texts[0])}
		}
	}
	return values, nil
}

// filterOf reads what selects records.
func filterOf(q url.Values, now time.Time) (f ledger.Filter, err error) {
	f = ledger.Filter{
		Provider: q.Get(paramProvider), Model: q.Get(paramModel), Key: q.Get(paramKey), Tag: q.Get(paramTag),
		Outcome: llmproxy.Outcome(q.Get(paramOutcome)), ConnectionID: q.Get(paramConnection),
		ID: q.Get(paramID), After: q.Get(paramAfter),
	}
	if f.Since, err = parseTime(q.Get(paramSince), now); err != nil {
		return f, invalid(paramSince, err.Error())
	}
	if f.Until, err = parseTime(q.Get(paramUntil), now); err != nil {
		return f, invalid(paramUntil, err.Error())
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return f, invalid(paramSince, "is not before until")
	}
	if f.Outcome != "" && !slices.Contains(outcomes(), f.Outcome) {
		return f, invalid(paramOutcome, fmt.Sprintf("%q is none of %s", shorten(string(f.Outcome), 40), strings.Join(outcomeNames(), ", ")))
	}
	return f, nil
}

// outcomes are those that a record can have.
func outcomes() []llmproxy.Outcome {
	return []llmproxy.Outcome{
		llmproxy.OutcomeCompleted, llmproxy.OutcomeIncomplete, llmproxy.OutcomeFailed, llmproxy.OutcomeError,
		llmproxy.OutcomeCancelled, llmproxy.OutcomeRejected, llmproxy.OutcomePending,
	}
}

func outcomeNames() (names []string) {
	for _, o := range outcomes() {
		names = append(names, string(o))
	}
	return names
}

// errTime is what is wrong with a text that is no time.
var errTime = errors.New("is no time: write one such as 24h, 30d, 2026-11-01 or 2026-11-01T10:00:00Z")

// parseTime reads a time: one that long before now, or a date or time, in UTC where it does
// not say. "" is the zero time.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errTime
}

// parseGrouping reads what sums are by.
func parseGrouping(text string) (ledger.Grouping, error) {
	switch g := ledger.Grouping(text); g {
	case ledger.ByNothing, ledger.ByModel, ledger.ByProvider, ledger.ByKey, ledger.ByDay, ledger.ByHour, ledger.ByOutcome:
		return g, nil
	}
	if name, ok := strings.CutPrefix(text, string(ledger.ByTag)); ok && name != "" {
		return ledger.Grouping(text), nil
	}
	if text == "tag" {
		return "", invalid(paramBy, "name the tag, as in tag:team")
	}
	return "", invalid(paramBy, fmt.Sprintf("%q is none of model, provider, key, day, hour, outcome and tag:NAME", shorten(text, 40)))
}

// parseLimit reads how many records are wanted, up to most.
func parseLimit(text string, otherwise, most int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, invalid(paramLimit, fmt.Sprintf("want a number from 0 to %d", most))
	}
	return n, nil
}

// links makes the URLs of a page from the parameters it was asked with.
type links struct {
	path   string
	values url.Values
}

// To returns the path with the same parameters.
func (l links) To(path string) links { return links{path, l.values} }

// URL returns the page itself.
func (l links) URL() string {
	if len(l.values) == 0 {
		return l.path
	}
	return l.path + "?" + l.values.Encode()
}

// With returns the page with one parameter changed, and from its beginning; "" takes the
// parameter away.
func (l links) With(name, value string) string {
	values := url.Values{}
	for n, v := range l.values {
		if n != paramAfter && n != name {
			values[n] = v
		}
	}
	if value != "" {
		values.Set(name, value)
	}
	return links{l.path, values}.URL()
}

// shorten cuts text to at most n runes.
func shorten(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i] + "…"
		}
		n--
	}
	return text
}
