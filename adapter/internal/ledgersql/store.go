// Package ledgersql is a [ledger.Store] in SQL, but for what SQLite and Postgres spell
// differently: that is a [Backend], and adapter/sqlite and adapter/postgres have one each.
//
// A record is one row of the table usage_records. Its JSON, in the column record, is the
// record; the other columns repeat what records are found and summed by. Amounts are
// whole picodollars and never pass through floating point.
package ledgersql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// Backend is what a [Store] needs to know of its database.
type Backend struct {
	// Name opens the text of errors.
	Name string
	// Writes and Reads may be the same. The Store closes both.
	Writes, Reads *sql.DB
	// Arg returns the n-th placeholder, from 1. It may appear in a statement twice.
	Arg func(n int) string
	// Time returns t, which is in whole milliseconds, as a value of the column time.
	Time func(t time.Time) any
	// Milliseconds is the column time in milliseconds since 1970, as an expression.
	Milliseconds string
	// Tag returns an expression: the value of the tag that arg names, else NULL.
	Tag func(arg string) string
	// Each returns a query for the texts in the JSON array arg.
	Each func(arg string) string
	// Lock ends a query whose rows the transaction is about to change.
	Lock string
	// Insert adds rows: all or, with an error, none. No two have the same ID. A row whose
	// ID is there already is skipped, unless its Revision is higher.
	Insert func(ctx context.Context, rows []Row) error
	// Update sets the cost columns and the record of rows, and keeps the record that was
	// there in the column original, unless that has one.
	Update func(ctx context.Context, tx *sql.Tx, rows []Row) error
	// Fault says what err means, where it is the database's. It is never called with nil.
	Fault func(err error) error
	// Timeout bounds every statement; 0 means no bound.
	Timeout time.Duration
}

// Store implements [ledger.Store] on a Backend whose schema is there.
type Store struct {
	b Backend

	mu     sync.Mutex
	closed bool           // guarded by mu
	calls  sync.WaitGroup // grows under mu, and only while not closed
}

var _ ledger.Store = (*Store)(nil)

// New returns a store on b.
func New(b Backend) *Store { return &Store{b: b} }

// enter begins a call, which ends with s.calls.Done.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fs.ErrClosed
	}
	s.calls.Add(1)
	return nil
}

// Close implements [ledger.Store]. Calls that begin after it return an error that is
// [fs.ErrClosed].
func (s *Store) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	if !first {
		return nil
	}
	err := s.b.Reads.Close()
	if s.b.Writes != s.b.Reads {
		err = errors.Join(err, s.b.Writes.Close())
	}
	return s.fault("close", err)
}

// call runs one call of the store.
func (s *Store) call(ctx context.Context, operation string, do func(context.Context) error) error {
	if err := s.enter(); err != nil {
		return s.fault(operation, err)
	}
	defer s.calls.Done()
	if err := ctx.Err(); err != nil {
		return s.fault(operation, err)
	}
	return s.fault(operation, do(ctx))
}

// statement bounds ctx by the time that one statement may take.
func (s *Store) statement(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.b.Timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, s.b.Timeout)
}

// fault names the operation that err, if it is one, ended.
func (s *Store) fault(operation string, err error) error {
	switch yielded := (*yieldError)(nil); {
	case err == nil:
		return nil
	case errors.As(err, &yielded):
		return yielded.err
	}
	return fmt.Errorf("%s: %s: %w", s.b.Name, operation, s.b.Fault(err))
}

// yieldError is an error of the caller's own function, to be returned as it is.
type yieldError struct{ err error }

func (e *yieldError) Error() string { return e.err.Error() }

// Append implements [ledger.Store].
func (s *Store) Append(ctx context.Context, records []llmproxy.Record) error {
	return s.call(ctx, "append", func(ctx context.Context) error {
		if len(records) == 0 {
			return nil
		}
		ctx, cancel := s.statement(ctx)
		defer cancel()
		return s.b.Insert(ctx, newRows(records))
	})
}

// deleteChunk is how many rows one statement deletes: others write in between.
const deleteChunk = 5000

// Delete implements [ledger.Store]. With an error, it returns how many there were until
// then.
func (s *Store) Delete(ctx context.Context, before time.Time) (deleted int64, err error) {
	err = s.call(ctx, "delete", func(ctx context.Context) error {
		for {
			n, err := s.deleteSome(ctx, before)
			deleted += n
			if err != nil || n < deleteChunk {
				return err
			}
		}
	})
	return deleted, err
}

func (s *Store) deleteSome(ctx context.Context, before time.Time) (int64, error) {
	ctx, cancel := s.statement(ctx)
	defer cancel()
	q := s.query("DELETE FROM usage_records WHERE id IN (SELECT id FROM usage_records WHERE time < ")
	q.arg(s.b.Time(roundUp(before)))
	q.add(" ORDER BY time LIMIT ")
	q.arg(deleteChunk)
	q.add(")")
	result, err := s.b.Writes.ExecContext(ctx, q.String(), q.args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
