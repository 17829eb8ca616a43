package ledgersql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// Sums implements [ledger.Store]. A sum of tokens that an int64 does not hold is an
// error; a sum of durations stops at the longest [time.Duration], 292 years. A group whose
// name is very long, or has a NUL, goes by a shorter one.
func (s *Store) Sums(ctx context.Context, f ledger.Filter, by ledger.Grouping) (sums []ledger.Sum, err error) {
	err = s.call(ctx, "sums", func(ctx context.Context) error {
		q := s.query("SELECT ")
		format, err := q.group(by)
		if err != nil {
			return err
		}
		p, ok, err := s.after(ctx, &f)
		if err != nil || !ok {
			return err
		}
		q.add(aggregates())
		if f.Limit > 0 {
			q.add(" FROM (SELECT * FROM usage_records")
			q.selected(&f, p)
			q.ordered(&f, f.Limit)
			q.add(") AS usage_records")
		} else {
			q.add(" FROM usage_records")
			q.selected(&f, p)
		}
		q.add(" GROUP BY 1")
		ctx, cancel := s.statement(ctx)
		defer cancel()
		rows, err := s.b.Reads.QueryContext(ctx, q.String(), q.args...)
		if err != nil {
			return err
		}
		sums, err = scanSums(rows, format)
		return err
	})
	return sums, err
}

// yearOne is 0001-01-01 in milliseconds since 1970: times are counted from there, so that
// a division rounds them all the same way.
const yearOne = -62_135_596_800_000

// group appends what to group by. What the database returns for it, a text or a number,
// format makes the group's name.
func (q *query) group(by ledger.Grouping) (format func(string) (string, error), err error) {
	asIs := func(s string) (string, error) { return s, nil }
	since := func(unit time.Duration, layout string) (func(string) (string, error), error) {
		fmt.Fprintf(q, "(%s + %d) / %d", q.b.Milliseconds, -yearOne, unit.Milliseconds())
		return func(s string) (string, error) {
			n, err := strconv.ParseInt(s, 10, 64)
			return time.UnixMilli(n*unit.Milliseconds() + yearOne).UTC().Format(layout), err
		}, nil
	}
	switch by {
	case ledger.ByNothing:
		q.add("''")
		return asIs, nil
	case ledger.ByModel, ledger.ByProvider, ledger.ByKey, ledger.ByOutcome:
		// The name is the column's, too. A bare column lets SQLite group along its index,
		// through all records there are, instead of finding those of the time asked for.
		q.add("COALESCE(" + string(by) + ", '')")
		return asIs, nil
	case ledger.ByDay:
		return since(24*time.Hour, "2006-01-02")
	case ledger.ByHour:
		return since(time.Hour, "2006-01-02T15")
	}
	if tag, ok := strings.CutPrefix(string(by), string(ledger.ByTag)); ok && tag != "" {
		q.add("COALESCE(" + q.b.Tag(q.placeholder(columnText(tag))) + ", '')")
		return asIs, nil
	}
	return nil, fmt.Errorf("unknown grouping %q", string(by))
}

// aggregates returns what is summed, in the order that scanSums reads. Amounts are summed
// in halves, whose sums do not overflow below 2³¹ records.
func aggregates() string {
	var b strings.Builder
	b.WriteString(`, COUNT(*), COUNT(CASE WHEN outcome IN ('error', 'failed') THEN 1 END),` +
		` COUNT(*) - COUNT(cost), COUNT(CASE WHEN cost_state = 'estimated' AND cost IS NOT NULL THEN 1 END),` +
		` COUNT(CASE WHEN ttft_ms > 0 THEN 1 END)`)
	for _, column := range [...]string{
		"duration_ms", "ttft_ms", "cost >> 32", "cost & 4294967295", "list_cost >> 32", "list_cost & 4294967295",
	} {
		writeSum(&b, column)
	}
	for _, column := range counterColumns {
		writeSum(&b, column)
	}
	return b.String()
}

// writeSum appends a sum that is a BIGINT, and 0 over nothing; in SQLite, where sums of
// integers are integers, the cast does nothing.
func writeSum(b *strings.Builder, expression string) {
	b.WriteString(", CAST(COALESCE(SUM(" + expression + "), 0) AS BIGINT)")
}

// scanSums reads sums to their end, closes rows and sorts what it has read.
func scanSums(rows *sql.Rows, format func(string) (string, error)) (sums []ledger.Sum, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var s ledger.Sum
		var group string
		var duration, ttft int64
		var cost, list halves
		into := []any{
			&group, &s.Exchanges, &s.Errors, &s.Unpriced, &s.Estimated, &s.TTFTCount,
			&duration, &ttft, &cost.high, &cost.low, &list.high, &list.low,
		}
		for _, n := range counters(&s.Usage) {
			into = append(into, n)
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		if s.Group, err = format(group); err != nil {
			return nil, err
		}
		s.DurationSum, s.TTFTSum = milliseconds(duration), milliseconds(ttft)
		if s.Cost, err = cost.usd(); err != nil {
			return nil, err
		}
		if s.ListCost, err = list.usd(); err != nil {
			return nil, err
		}
		sums = append(sums, s)
	}
	slices.SortFunc(sums, func(a, b ledger.Sum) int { return cmp.Compare(a.Group, b.Group) })
	return sums, rows.Err()
}

func milliseconds(n int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Millisecond)
	if n > most {
		return math.MaxInt64
	}
	return time.Duration(n) * time.Millisecond
}

// halves are the sums of the high and of the low 32 bits of amounts.
type halves struct{ high, low int64 }

// usd returns high × 2³² + low, or [llmproxy.ErrMoney] where one USD cannot hold it.
func (h halves) usd() (llmproxy.USD, error) {
	low, carry := bits.Add64(uint64(h.high)<<32, uint64(h.low), 0)
	high := h.high>>32 + int64(carry)
	if high != int64(low)>>63 {
		return 0, llmproxy.ErrMoney
	}
	return llmproxy.USD(low), nil
}
