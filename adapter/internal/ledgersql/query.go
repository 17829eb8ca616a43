package ledgersql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// query is a statement that is being written.
type query struct {
	strings.Builder
	b    *Backend
	args []any
	and  string // what opens the next condition
}

func (s *Store) query(text string) *query {
	q := &query{b: &s.b, and: " WHERE "}
	q.WriteString(text)
	return q
}

// add appends to the statement.
func (q *query) add(text string) { q.WriteString(text) }

// arg appends a placeholder of value.
func (q *query) arg(value any) { q.WriteString(q.placeholder(value)) }

func (q *query) placeholder(value any) string {
	q.args = append(q.args, value)
	return q.b.Arg(len(q.args))
}

// when appends a condition: left, and a placeholder of value.
func (q *query) when(left string, value any) {
	q.holds(left)
	q.arg(value)
}

// holds appends a condition.
func (q *query) holds(condition string) {
	q.add(q.and)
	q.add(condition)
	q.and = " AND "
}

// selected appends the conditions of f, and that of coming after p.
func (q *query) selected(f *ledger.Filter, p position) {
	if !f.Since.IsZero() {
		q.when("time >= ", q.b.Time(roundUp(f.Since)))
	}
	if !f.Until.IsZero() {
		q.when("time < ", q.b.Time(roundUp(f.Until)))
	}
	for _, equal := range [...]struct{ left, value string }{
		{"provider = ", f.Provider},
		{"model = ", f.Model},
		{"key <> '' AND key = ", f.Key}, // what a partial index covers has to be said
		{"outcome = ", string(f.Outcome)},
		{"connection_id <> '' AND connection_id = ", f.ConnectionID},
		{"id = ", f.ID},
	} {
		if equal.value != "" {
			q.when(equal.left, columnText(equal.value))
		}
	}
	if name, value, valued := strings.Cut(f.Tag, "="); f.Tag != "" {
		tag := q.b.Tag(q.placeholder(columnText(name)))
		if valued {
			q.when(tag+" = ", columnText(value))
		} else {
			q.holds(tag + " IS NOT NULL")
		}
	}
	if p.known {
		than := ">"
		if f.Newest {
			than = "<"
		}
		// The first condition is for the index, which is by time alone.
		at := q.placeholder(q.b.Time(p.time))
		q.holds("time " + than + "= " + at)
		q.when("(time "+than+" "+at+" OR id "+than+" ", p.id)
		q.add(")")
	}
}

// ordered appends the order of f and its limit; 0 means none.
func (q *query) ordered(f *ledger.Filter, limit int) {
	if f.Newest {
		q.add(" ORDER BY time DESC, id DESC")
	} else {
		q.add(" ORDER BY time, id")
	}
	if limit > 0 {
		q.add(" LIMIT ")
		q.arg(limit)
	}
}

// position is a place in the order of records.
type position struct {
	known bool
	time  time.Time
	id    string // as in the column
}

// after returns the position of f.After; ok is false where there is no such record, and
// so nothing after it.
func (s *Store) after(ctx context.Context, f *ledger.Filter) (p position, ok bool, err error) {
	if f.After == "" {
		return position{}, true, nil
	}
	ctx, cancel := s.statement(ctx)
	defer cancel()
	p = position{known: true, id: columnText(f.After)}
	q := s.query("SELECT " + s.b.Milliseconds + " FROM usage_records")
	q.when("id = ", p.id)
	var ms int64
	err = s.b.Reads.QueryRowContext(ctx, q.String(), q.args...).Scan(&ms)
	if errors.Is(err, sql.ErrNoRows) {
		return position{}, false, nil
	}
	p.time = time.UnixMilli(ms).UTC()
	return p, err == nil, err
}

// page is how many records are read at once. No transaction or connection is held while
// a caller works on them: it may be slow, or call the store itself.
const page = 500

// Records implements [ledger.Store]. What yield gets is its own to keep.
func (s *Store) Records(ctx context.Context, f ledger.Filter, yield func(*llmproxy.Record) error) error {
	return s.call(ctx, "records", func(ctx context.Context) error {
		return s.pages(ctx, f, "", func(now, _ *llmproxy.Record) error { return yield(now) })
	})
}

// Repriced implements [ledger.Store]. What yield gets is its own to keep.
func (s *Store) Repriced(ctx context.Context, f ledger.Filter, yield func(now, original *llmproxy.Record) error) error {
	return s.call(ctx, "repriced", func(ctx context.Context) error {
		return s.pages(ctx, f, "original IS NOT NULL", yield)
	})
}

// pages calls yield with the records that f selects and that meet condition.
func (s *Store) pages(ctx context.Context, f ledger.Filter, condition string, yield func(now, original *llmproxy.Record) error) error {
	p, ok, err := s.after(ctx, &f)
	if err != nil || !ok {
		return err
	}
	for left := f.Limit; ; {
		size := page
		if f.Limit > 0 {
			size = min(page, left)
		}
		found, err := s.page(ctx, &f, condition, p, size)
		if err != nil {
			return err
		}
		for _, pair := range found {
			if err := ctx.Err(); err != nil {
				return err
			}
			now, original, err := pair.decode()
			if err != nil {
				return err
			}
			if err := yield(now, original); err != nil {
				return &yieldError{err}
			}
		}
		if left -= len(found); len(found) < size || left == 0 {
			return nil
		}
		last := found[len(found)-1]
		p = position{known: true, time: time.UnixMilli(last.ms).UTC(), id: last.id}
	}
}

// stored is what is read of one row.
type stored struct {
	ms       int64 // its time, in milliseconds since 1970
	id       string
	now      []byte
	original []byte // nil unless it has been repriced
}

func (r *stored) decode() (now, original *llmproxy.Record, err error) {
	now = new(llmproxy.Record)
	if err := now.UnmarshalJSON(r.now); err != nil {
		return nil, nil, err
	}
	if r.original == nil {
		return now, nil, nil
	}
	original = new(llmproxy.Record)
	return now, original, original.UnmarshalJSON(r.original)
}

func (s *Store) page(ctx context.Context, f *ledger.Filter, condition string, p position, size int) ([]stored, error) {
	ctx, cancel := s.statement(ctx)
	defer cancel()
	q := s.query("SELECT " + s.b.Milliseconds + ", id, record, original FROM usage_records")
	if condition != "" {
		q.holds(condition)
	}
	q.selected(f, p)
	q.ordered(f, size)
	rows, err := s.b.Reads.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows)
}

// collect reads rows of ms, id, record and original to their end, and closes them.
func collect(rows *sql.Rows) (all []stored, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r stored
		if err := rows.Scan(&r.ms, &r.id, &r.now, &r.original); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// Pending implements [ledger.Store].
func (s *Store) Pending(ctx context.Context, provider, responseID string) (r llmproxy.Record, ok bool, err error) {
	err = s.call(ctx, "pending", func(ctx context.Context) error {
		ctx, cancel := s.statement(ctx)
		defer cancel()
		q := s.query("SELECT record FROM usage_records")
		q.holds("outcome = 'pending'")
		q.holds("cost_state = 'pending'")
		q.when("provider = ", columnText(provider))
		q.when("response_id = ", columnText(responseID))
		q.ordered(&ledger.Filter{}, 1)
		var text []byte
		switch err := s.b.Reads.QueryRowContext(ctx, q.String(), q.args...).Scan(&text); {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return err
		}
		ok = true
		return r.UnmarshalJSON(text)
	})
	return r, ok && err == nil, err
}

// jsonArray returns texts as a JSON array.
func jsonArray(texts []string) string {
	array, err := json.Marshal(texts)
	if err != nil {
		panic(err) // a list of texts has none
	}
	return string(array)
}
