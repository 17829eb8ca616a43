package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// record returns a record of about size bytes.
func record(id string, size int) llmproxy.Record {
	return llmproxy.Record{
		ID: id, Time: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
		FinishReason: strings.Repeat("x", size),
	}
}

// count returns how many records s has.
func count(t *testing.T, s *Store) (n int64) {
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

// opened returns an open file that does not wait for other processes, and its store.
func opened(t *testing.T, path string) (*file, *Store) {
	t.Helper()
	f := &file{name: filepath.Base(path)}
	if err := f.open(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s := f.store()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return f, s
}

func exec(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// check fails the test unless err is want and names the file but not its folder.
func check(t *testing.T, err, want error, path string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	if text := err.Error(); !strings.HasPrefix(text, "sqlite: "+filepath.Base(path)+": ") || strings.Contains(text, filepath.Dir(path)) {
		t.Errorf("the error names not the file, or its folder too: %s", text)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	f, s := opened(t, path)
	exec(t, f.writes, "PRAGMA max_page_count = 40") // of 4096 bytes
	if err := s.Append(t.Context(), []llmproxy.Record{record("small", 100)}); err != nil {
		t.Fatal(err)
	}
	batch := []llmproxy.Record{record("another", 100), record("large", 1<<20)}
	check(t, s.Append(t.Context(), batch), ErrFull, path)
	if n := count(t, s); n != 1 {
		t.Errorf("%d records, want 1: half a batch was kept", n)
	}
	exec(t, f.writes, "PRAGMA max_page_count = 4000")
	if err := s.Append(t.Context(), batch); err != nil {
		t.Fatalf("after there was room again: %v", err)
	}
	if n := count(t, s); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}

// A record that the schema does not allow is refused, and says so; a full disk (above) is
// not the record's fault.
func TestRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	f, s := opened(t, path)
	exec(t, f.writes, "CREATE TRIGGER strict BEFORE INSERT ON usage_records WHEN NEW.id = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END")
	check(t, s.Append(t.Context(), []llmproxy.Record{record("a", 1), record("bad", 1)}), ledger.ErrRefused, path)
	if n := count(t, s); n != 0 {
		t.Errorf("%d records, want none: half a batch was kept", n)
	}
	exec(t, f.writes, "PRAGMA max_page_count = 40")
	if err := s.Append(t.Context(), []llmproxy.Record{record("large", 1<<20)}); !errors.Is(err, ErrFull) || errors.Is(err, ledger.ErrRefused) {
		t.Errorf("a full disk: %v", err)
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	other, _ := opened(t, path)
	_, s := opened(t, path)
	tx, err := other.writes.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, s.Append(t.Context(), []llmproxy.Record{record("a", 1)}), ErrLocked, path)
	if n := count(t, s); n != 0 { // reading goes on
		t.Errorf("%d records, want none", n)
	}
	_, err = Open(over(t), path)
	check(t, err, context.Canceled, path)
	third := &file{name: filepath.Base(path)}
	check(t, third.open(t.Context(), path), ErrLocked, path)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), []llmproxy.Record{record("a", 1)}); err != nil {
		t.Fatalf("after the lock was gone: %v", err)
	}
}

// over returns a context that has ended.
func over(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// One that waits for a lock does not outstay its context.
func TestWaitForLockEndsWithContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	other, _ := opened(t, path)
	s, err := Open(t.Context(), path) // waits for seconds
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tx, err := other.writes.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	check(t, s.Append(ctx, []llmproxy.Record{record("a", 1)}), context.DeadlineExceeded, path)
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	f, s := opened(t, path)
	exec(t, f.writes, "PRAGMA query_only = 1")
	check(t, s.Append(t.Context(), []llmproxy.Record{record("a", 1)}), ErrReadOnly, path)
}

func TestNewerSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	f, _ := opened(t, path)
	exec(t, f.writes, "INSERT INTO "+versionTable+" (version_id, is_applied) VALUES (99, 1)")
	_, err := Open(t.Context(), path)
	check(t, err, ErrNewer, path)
	if want := "sqlite: ledger.db: open: the database's schema is newer than this program: version 99, and this program knows 2"; err.Error() != want {
		t.Errorf("got %s\nwant %s", err, want)
	}
}

func TestNoDatabase(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	garbage := filepath.Join(folder, "garbage.db")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("garbage\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), garbage)
	check(t, err, ErrCorrupt, garbage)

	missing := filepath.Join(folder, "missing", "ledger.db")
	_, err = Open(t.Context(), missing)
	check(t, err, fs.ErrNotExist, missing)

	for _, path := range []string{"", "a\x00b"} {
		if _, err := Open(t.Context(), path); err == nil {
			t.Errorf("%q opened", path)
		}
	}
	if _, err := Open(t.Context(), folder); err == nil {
		t.Error("a folder opened")
	}
}

// Pages that a disk has spoiled are found when they are read.
func TestDamagedPages(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]llmproxy.Record, 200)
	for i := range batch {
		batch[i] = record(fmt.Sprint(i), 1000)
	}
	if err := errors.Join(s.Append(t.Context(), batch), s.Close()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range content[20*4096:] {
		content[20*4096+at] = 0xff
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, s = opened(t, path)
	check(t, s.Records(t.Context(), ledger.Filter{}, func(*llmproxy.Record) error { return nil }), ErrCorrupt, path)
}

func TestClosed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	check(t, s.Append(t.Context(), []llmproxy.Record{record("a", 1)}), fs.ErrClosed, path)
	_, err = s.Sums(t.Context(), ledger.Filter{}, ledger.ByNothing)
	check(t, err, fs.ErrClosed, path)
}
