// Package sqlite keeps the ledger in an SQLite file.
//
// What Append has returned for is on the disk: it survives a crash of the machine. One
// connection writes and others read meanwhile, in this process or another: `llmproxy
// usage` may look while the gateway runs. There is no cgo.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"

	"github.com/llmproxy/llmproxy/adapter/internal/ledgersql"
	"github.com/llmproxy/llmproxy/ledger"
)

// Store is a [ledger.Store] in an SQLite file. Its methods may be called by many
// goroutines at once. Calls after Close return an error that is [fs.ErrClosed].
type Store struct{ *ledgersql.Store }

var _ ledger.Store = (*Store)(nil)

// busyTimeout is how long a store's statements wait for another process that writes.
const busyTimeout = 5 * time.Second

// maxReaders bounds the connections that read; each may take 2 MB of cache.
const maxReaders = 4

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens the ledger in the file at path, and creates it where there is none, readable
// by its owner alone; its folder must be there. A schema of an earlier version is brought
// up to date. An error names the file, not its folder; see [ErrNewer] and its neighbours.
func Open(ctx context.Context, path string) (*Store, error) {
	f := &file{name: filepath.Base(path), busy: busyTimeout}
	if err := f.open(ctx, path); err != nil {
		return nil, err
	}
	return f.store(), nil
}

// file is an open database.
type file struct {
	name          string        // without its folder
	busy          time.Duration // how long a statement waits for another process that writes
	writes, reads *sql.DB
	insertRow     *sql.Stmt
}

func (f *file) store() *Store {
	return &Store{ledgersql.New(ledgersql.Backend{
		Name:   "sqlite: " + f.name,
		Writes: f.writes, Reads: f.reads,
		Arg:          placeholder,
		Time:         func(t time.Time) any { return t.UnixMilli() },
		Milliseconds: "time",
		Tag: func(arg string) string {
			return "(SELECT value FROM json_each(tags) WHERE key = " + arg + ")"
		},
		Each:   func(arg string) string { return "SELECT value FROM json_each(" + arg + ")" },
		Insert: f.insert, Update: f.update,
		Fault: fault,
	})}
}

func placeholder(n int) string { return fmt.Sprintf("?%d", n) }

// open opens the file at path; with an error, nothing stays open.
func (f *file) open(ctx context.Context, path string) error {
	if err := f.prepare(ctx, path); err != nil {
		return fmt.Errorf("sqlite: %s: open: %w", f.name, errors.Join(fault(err), f.close()))
	}
	return nil
}

func (f *file) prepare(ctx context.Context, path string) error {
	if path == "" || strings.IndexByte(path, 0) >= 0 {
		return errors.New("this is no file's name")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	// SQLite would create it readable by all; its -wal and -shm get the same mode.
	created, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := created.Close(); err != nil {
		return err
	}
	if f.writes, err = f.connect(path, 1, url.Values{
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"}, // NORMAL may lose what was committed last
		"_txlock":       {"immediate"},
		"_pragma":       {"journal_size_limit(67108864)"},
	}); err != nil {
		return err
	}
	if f.reads, err = f.connect(path, maxReaders, url.Values{"_query_only": {"1"}}); err != nil {
		return err
	}
	if err := writable(ctx, f.writes); err != nil {
		return err
	}
	if err := migrate(ctx, f.writes); err != nil {
		return err
	}
	f.insertRow, err = f.writes.PrepareContext(ctx, insertRow())
	return err
}

// close lets go of what a failed open has opened.
func (f *file) close() (err error) {
	for _, db := range []*sql.DB{f.writes, f.reads} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

// connect returns a pool of at most most connections to the file at path, an absolute one.
func (f *file) connect(path string, most int, settings url.Values) (*sql.DB, error) {
	settings.Set("_busy_timeout", fmt.Sprint(f.busy.Milliseconds()))
	settings.Set("_dqs", "0")
	settings.Set("_error_rc", "1")
	settings.Set("mode", "rw") // a file that is gone is an error and no empty ledger
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: settings.Encode()}
	connector, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

// writable takes the lock of a writer and lets go of it. The migrations, which would find
// out as well, try again for seconds.
func writable(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	return tx.Commit()
}
