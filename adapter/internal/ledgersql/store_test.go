package ledgersql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nowhere is a database that nobody can connect to.
type nowhere struct{}

var errNowhere = errors.New("nowhere")

func (nowhere) Connect(context.Context) (driver.Conn, error) { return nil, errNowhere }
func (nowhere) Driver() driver.Driver                        { return nil }

func nowhereBackend() Backend {
	db := sql.OpenDB(nowhere{})
	return Backend{Name: "name", Writes: db, Reads: db, Fault: func(err error) error { return err }}
}

// Close waits for the calls that have begun, and lets no other begin.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := nowhereBackend()
		b.Insert = func(context.Context, []Row) error { <-release; return nil }
		s := New(b)
		var appended, closed error = errNowhere, errNowhere
		go func() { appended = s.Append(t.Context(), make([]llmproxy.Record, 1)) }()
		synctest.Wait()
		go func() { closed = s.Close() }()
		synctest.Wait()
		if !errors.Is(closed, errNowhere) {
			t.Errorf("Close returned during a call: %v", closed)
		}
		if err := s.Append(t.Context(), make([]llmproxy.Record, 1)); !errors.Is(err, fs.ErrClosed) || err.Error() != "name: append: file already closed" {
			t.Errorf("a call after Close: %v", err)
		}
		close(release)
		synctest.Wait()
		if appended != nil || closed != nil {
			t.Errorf("got %v and %v", appended, closed)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close again: %v", err)
		}
	})
}

// A statement that does not end is ended.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := nowhereBackend()
		b.Timeout = time.Minute
		b.Insert = func(ctx context.Context, _ []Row) error { <-ctx.Done(); return ctx.Err() }
		s := New(b)
		defer s.Close()
		start := time.Now()
		err := s.Append(t.Context(), make([]llmproxy.Record, 1))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

// An error says which call it ended, and what the backend makes of it.
func TestFault(t *testing.T) {
	t.Parallel()
	b := nowhereBackend()
	b.Fault = func(err error) error { return errors.Join(fs.ErrPermission, err) }
	s := New(b)
	defer s.Close()
	err := s.Reprice(t.Context(), make([]llmproxy.Record, 1))
	if !errors.Is(err, errNowhere) || !errors.Is(err, fs.ErrPermission) || err.Error() != "name: reprice: permission denied\nnowhere" {
		t.Errorf("got %v", err)
	}
}
