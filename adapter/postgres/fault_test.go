//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/postgres"
	"github.com/llmproxy/llmproxy/ledger"
)

func record(n int) llmproxy.Record {
	return llmproxy.Record{ID: fmt.Sprint(n), Time: time.UnixMilli(int64(n))}
}

// count returns how many records s has.
func count(t *testing.T, s *postgres.Store) (n int64) {
	t.Helper()
	sums, err := s.Sums(t.Context(), ledger.Filter{}, ledger.ByNothing)
	if err != nil {
		t.Fatal(err)
	}
	for _, sum := range sums {
		n += sum.Exchanges
	}
	return n
}

// connect returns a connection of the test's own.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, statement string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// sqlState returns the code of the server's error in err, "" if there is none
// (https://www.postgresql.org/docs/current/errcodes-appendix.html).
func sqlState(err error) string {
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok {
		return failed.Code
	}
	return ""
}

// A record that the schema does not allow is refused, and says so; what is
// wrong with the database is not the record's fault.
func TestRefused(t *testing.T) {
	t.Parallel()
	url := newDatabase(t, "template0")
	s, conn := open(t, url), connect(t, url)
	defer s.Close()
	long := record(1)
	long.Key = "key_1"
	execute(t, conn, "ALTER TABLE usage_records ALTER key TYPE varchar(4), ADD CHECK (id <> '2')")
	for what, r := range map[string]llmproxy.Record{"22001": long, "23514": record(2)} {
		err := s.Append(t.Context(), []llmproxy.Record{record(0), r})
		if !errors.Is(err, ledger.ErrRefused) || sqlState(err) != what {
			t.Errorf("want refused for %s, got %v", what, err)
		}
	}
	if n := count(t, s); n != 0 {
		t.Errorf("%d records, want none: half a batch was kept", n)
	}
	execute(t, conn, "ALTER TABLE usage_records RENAME TO elsewhere")
	if err := s.Append(t.Context(), []llmproxy.Record{record(4)}); err == nil || errors.Is(err, ledger.ErrRefused) {
		t.Errorf("without the table: %v", err)
	}
}

// Several nodes may start at once on an empty database.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	url := newDatabase(t, "template0")
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), url)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(s.Append(t.Context(), []llmproxy.Record{record(n)}), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := open(t, url)
	defer s.Close()
	if n := count(t, s); n != 8 {
		t.Errorf("%d records, want 8", n)
	}
	var migrations int
	if err := connect(t, url).QueryRow(t.Context(), "SELECT count(*) FROM llmproxy_schema WHERE version_id = 1").Scan(&migrations); err != nil || migrations != 1 {
		t.Errorf("the first migration ran %d times, %v", migrations, err)
	}
}

// One node waits until another has brought the schema up to date, as long as its context
// lasts.
func TestOpenWaitsForMigrations(t *testing.T) {
	t.Parallel()
	url := newDatabase(t, "template0")
	other := connect(t, url)
	execute(t, other, "SELECT pg_advisory_lock($1)", int64(0x6c6c6d70726f7879))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := postgres.Open(ctx, url); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want a deadline", err)
	}
	execute(t, other, "SELECT pg_advisory_unlock($1)", int64(0x6c6c6d70726f7879))
	if err := open(t, url).Close(); err != nil {
		t.Error(err)
	}
}

func TestNewerSchema(t *testing.T) {
	t.Parallel()
	url := newDatabase(t, "ledger")
	execute(t, connect(t, url), "INSERT INTO llmproxy_schema (version_id, is_applied) VALUES (99, true)")
	_, err := postgres.Open(t.Context(), url)
	if !errors.Is(err, postgres.ErrNewer) {
		t.Fatalf("got %v, want ErrNewer", err)
	}
	if want := "postgres: open: the database's schema is newer than this program: version 99, and this program knows 2"; err.Error() != want {
		t.Errorf("got %s\nwant %s", err, want)
	}
}

func TestEncoding(t *testing.T) {
	t.Parallel()
	url := newDatabase(t, "template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
	_, err := postgres.Open(t.Context(), url)
	if want := "postgres: open: the database's encoding is SQL_ASCII, and records need UTF8"; err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// A call whose connection breaks fails, keeps nothing by halves, and may be repeated.
func TestConnectionLost(t *testing.T) {
	t.Parallel()
	url := newDatabase(t, "ledger")
	s := open(t, url)
	defer s.Close()
	conn := connect(t, url)
	execute(t, conn, `CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$`)
	execute(t, conn, "CREATE TRIGGER hang_up AFTER INSERT ON usage_records FOR EACH ROW WHEN (NEW.id = '2') EXECUTE FUNCTION hang_up()")
	batch := []llmproxy.Record{record(1), record(2), record(3)}
	if err := s.Append(t.Context(), batch); sqlState(err) != "57P01" || !strings.HasPrefix(err.Error(), "postgres: append: ") {
		t.Fatalf("got %v, want admin_shutdown", err)
	}
	if n := count(t, s); n != 0 {
		t.Errorf("%d records, want none", n)
	}
	execute(t, conn, "DROP TRIGGER hang_up ON usage_records")
	for range 2 {
		if err := s.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, s); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}

// A server that has been away is found again: idle connections that broke meanwhile cost
// no call.
func TestServerAway(t *testing.T) {
	t.Parallel()
	url := newDatabase(t, "ledger")
	s := open(t, url)
	defer s.Close()
	if err := s.Append(t.Context(), []llmproxy.Record{record(1)}); err != nil {
		t.Fatal(err)
	}
	name := url[strings.LastIndex(url, "=")+1:]
	admin := connect(t, running.url("postgres"))
	execute(t, admin, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false")
	execute(t, admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name)
	for range 2 {
		if err := s.Append(t.Context(), []llmproxy.Record{record(2)}); err == nil {
			t.Fatal("Append succeeded without a database")
		}
	}
	execute(t, admin, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS true")
	if err := s.Append(t.Context(), []llmproxy.Record{record(2)}); err != nil {
		t.Fatalf("when it was back: %v", err)
	}
	if n := count(t, s); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
}

// A statement that waits for a lock ends with its context, or by the URL's own timeout.
func TestStatementTimeouts(t *testing.T) {
	t.Parallel()
	url := newDatabase(t, "ledger")
	s := open(t, url)
	defer s.Close()
	own := open(t, url+" statement_timeout=50")
	defer own.Close()
	tx, err := connect(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE usage_records IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Append(ctx, []llmproxy.Record{record(1)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
	if err := own.Append(t.Context(), []llmproxy.Record{record(1)}); sqlState(err) != "57014" {
		t.Errorf("got %v, want query_canceled", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), []llmproxy.Record{record(1)}); err != nil {
		t.Errorf("when the lock was gone: %v", err)
	}
}

// Two writers of the same records in opposite orders do not wait for each other for ever:
// with a thousand records each, they would soon.
func TestNoDeadlock(t *testing.T) {
	t.Parallel()
	s := open(t, newDatabase(t, "ledger"))
	defer s.Close()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			batch := make([]llmproxy.Record, 1000)
			for revision := range 3 {
				for i := range batch {
					at := i
					if w%2 == 1 {
						at = len(batch) - 1 - i
					}
					batch[at] = record(i)
					batch[at].Revision = revision
				}
				if err := s.Append(t.Context(), batch); err != nil {
					t.Errorf("append: %v", err)
				}
				if err := s.Reprice(t.Context(), batch); err != nil {
					t.Errorf("reprice: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, s); n != 1000 {
		t.Errorf("%d records, want 1000", n)
	}
}

// The counts that are 0 take no room, and still come to 0 in a sum.
func TestZeroCountsAreNull(t *testing.T) {
	t.Parallel()
	url := newDatabase(t, "ledger")
	s := open(t, url)
	defer s.Close()
	a, b := record(1), record(2)
	a.Usage = llmproxy.Usage{PromptTokens: 5}
	if err := s.Append(t.Context(), []llmproxy.Record{a, b}); err != nil {
		t.Fatal(err)
	}
	var prompts, others int
	if err := connect(t, url).QueryRow(t.Context(), "SELECT count(prompt_tokens), count(completion_tokens) FROM usage_records").
		Scan(&prompts, &others); err != nil || prompts != 1 || others != 0 {
		t.Errorf("%d and %d counts, %v, want 1 and 0", prompts, others, err)
	}
	sums, err := s.Sums(t.Context(), ledger.Filter{}, ledger.ByNothing)
	if err != nil || len(sums) != 1 || sums[0].Usage != a.Usage {
		t.Errorf("got %+v, %v", sums, err)
	}
}

// A sum of tokens that does not fit is an error, and no other number.
func TestTokenOverflow(t *testing.T) {
	t.Parallel()
	s := open(t, newDatabase(t, "ledger"))
	defer s.Close()
	a, b := record(1), record(2)
	a.Usage.PromptTokens, b.Usage.PromptTokens = 1<<63-1, 1
	if err := s.Append(t.Context(), []llmproxy.Record{a, b}); err != nil {
		t.Fatal(err)
	}
	if sums, err := s.Sums(t.Context(), ledger.Filter{}, ledger.ByNothing); sqlState(err) != "22003" {
		t.Errorf("got %+v, %v, want numeric_value_out_of_range", sums, err)
	}
}

// With a pooler that knows no prepared statements, the URL says so.
func TestWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"exec", "simple_protocol"} {
		s := open(t, newDatabase(t, "ledger")+" default_query_exec_mode="+mode)
		a := record(1)
		a.Key, a.CostKnown, a.Cost, a.Tags = "k", true, 5, map[string]string{"team": `a"b`}
		if err := s.Append(t.Context(), []llmproxy.Record{a, record(2)}); err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		a.Cost = 7
		if err := s.Reprice(t.Context(), []llmproxy.Record{a}); err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		f := ledger.Filter{Key: "k", Tag: `team=a"b`, Since: time.UnixMilli(1), Until: time.UnixMilli(2), Limit: 3}
		sums, err := s.Sums(t.Context(), f, ledger.ByTag+"team")
		if err != nil || len(sums) != 1 || sums[0].Group != `a"b` || sums[0].Cost != 7 {
			t.Errorf("%s: got %+v, %v", mode, sums, err)
		}
		if n, err := s.Delete(t.Context(), time.UnixMilli(2)); n != 1 || err != nil {
			t.Errorf("%s: deleted %d, %v", mode, n, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s := open(t, newDatabase(t, "ledger"))
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), []llmproxy.Record{record(1)}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("got %v, want fs.ErrClosed", err)
	}
}

// No error shows a password: neither that of a URL that cannot be read, nor that of a
// server that refuses it.
func TestPasswordStaysIn(t *testing.T) {
	t.Parallel()
	const password = "s3cret"
	newDatabase(t, "template0") // skips where there is no server
	admin := connect(t, running.url("postgres"))
	execute(t, admin, "CREATE ROLE secretive LOGIN PASSWORD 'another'")
	for _, url := range []string{
		"postgres://user:" + password + "@host:port:5/db",
		"postgres://user:" + password + "/x@host/db",
		"postgres://user:" + password + "%zz@host/db",
		"postgres://user:%zz" + password + "@host/db?sslmode=odd",
		"postgres://user:p#" + password + "@host:1/db?x",
		"host=x password=" + password + " port=odd",
		"password='" + password,
		"user " + password,
		"mysql://user:" + password + "@host/db",
		"postgres://user:" + password + "@127.0.0.1:1/db?connect_timeout=1",
		running.url("postgres") + " user=secretive password=" + password,
	} {
		s, err := postgres.Open(t.Context(), url)
		if err == nil {
			s.Close()
			t.Errorf("%s opened", url)
			continue
		}
		for ; err != nil; err = errors.Unwrap(err) {
			if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, password) {
				t.Errorf("%s: the error shows it: %s", url, text)
			}
		}
	}
}
