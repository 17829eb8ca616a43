package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/postgres"
	"github.com/llmproxy/llmproxy/adapter/sqlite"
	"github.com/llmproxy/llmproxy/ledger"
)

// Ledger says where usage records are kept.
type Ledger struct {
	URL         LedgerURL  `yaml:"url" secret:"true"`
	Journal     string     `yaml:"journal"` // the directory of the journal; default: beside the database
	Durability  Durability `yaml:"durability"`
	MaxBytes    Size       `yaml:"max_bytes"` // of the journal
	OnStoreDown StoreDown  `yaml:"on_store_down"`
	Retention   Duration   `yaml:"retention"` // older records are deleted; default: none are
}

// LedgerURL names a database: sqlite: and a file, postgres:// and what it wants, or none.
type LedgerURL string

const (
	schemeSQLite  = "sqlite:"
	noLedger      = "none"
	defaultLedger = LedgerURL("sqlite:llmproxy.db")
)

// UnmarshalText accepts the URLs that name a kind of database this binary has.
func (u *LedgerURL) UnmarshalText(text []byte) error {
	s := string(text)
	switch file, isFile := strings.CutPrefix(s, schemeSQLite); {
	case s == noLedger, isFile && file != "" && file != "//":
	case strings.HasPrefix(s, "postgres://"), strings.HasPrefix(s, "postgresql://"):
		if parsed, err := url.Parse(s); err != nil || parsed.Path == "" || parsed.Path == "/" {
			return errors.New("names no database: write postgres://user@host/database")
		}
	default:
		return errors.New("is no ledger: write sqlite: and a file, postgres://user@host/database, or none")
	}
	*u = LedgerURL(s)
	return nil
}

// file returns the file of a SQLite ledger, "" of others.
func (u LedgerURL) file() string {
	file, ok := strings.CutPrefix(string(u), schemeSQLite)
	if !ok {
		return ""
	}
	return strings.TrimPrefix(file, "//")
}

// relativeTo makes the paths of l relative to dir.
func (l Ledger) relativeTo(dir string) Ledger {
	at := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	if file := l.URL.file(); file != "" {
		l.URL = LedgerURL(schemeSQLite + at(file))
	}
	l.Journal = at(l.Journal)
	return l
}

// journal returns the directory of the journal.
func (l Ledger) journal() string {
	if file := l.URL.file(); file != "" && l.Journal == "" {
		return file + ".journal"
	}
	return cmp.Or(l.Journal, "llmproxy.journal")
}

// Durability is what a record survives.
type Durability string

// UnmarshalText accepts write and fsync.
func (d *Durability) UnmarshalText(text []byte) error {
	return oneOf((*string)(d), text, string(ledger.DurabilityWrite), string(ledger.DurabilityFsync))
}

// StoreDown is what becomes of keys with a budget while the store cannot be reached.
type StoreDown string

// What it can be.
const (
	storeDownDeny  StoreDown = "deny"
	storeDownAllow StoreDown = "allow"
)

// UnmarshalText accepts deny and allow.
func (s *StoreDown) UnmarshalText(text []byte) error {
	return oneOf((*string)(s), text, string(storeDownDeny), string(storeDownAllow))
}

// openStore opens the store that u names.
func openStore(ctx context.Context, u LedgerURL) (ledger.Store, error) {
	if file := u.file(); file != "" {
		return sqlite.Open(ctx, file)
	}
	return postgres.Open(ctx, string(u))
}

// books is the ledger of a running gateway.
type books struct {
	store   ledger.Store
	journal *ledger.Journal
	dir     string
}

// openBooks opens the ledger of c. A database on another machine may be down: it is opened
// once it is up, and the journal waits.
func openBooks(ctx context.Context, c *Config, logger *slog.Logger) (*books, error) {
	l := c.Ledger
	var store ledger.Store
	if l.URL.file() != "" {
		opened, err := openStore(ctx, l.URL)
		if err != nil {
			return nil, fmt.Errorf("the ledger: %w", err)
		}
		store = opened
	} else {
		store = &lateStore{open: func(ctx context.Context) (ledger.Store, error) { return openStore(ctx, l.URL) }}
	}
	dir := l.journal()
	journal, err := ledger.Open(dir, store, ledger.Options{
		Durability: ledger.Durability(l.Durability), MaxBytes: int64(l.MaxBytes), Logger: logger,
	})
	if err != nil {
		err = fmt.Errorf("the ledger's journal: %w", err)
		if errors.Is(err, ledger.ErrLocked) {
			err = fmt.Errorf("the ledger's journal %s belongs to another process: is a gateway with the same ledger running?", filepath.Base(dir))
		}
		return nil, errors.Join(err, store.Close())
	}
	return &books{store: store, journal: journal, dir: dir}, nil
}

// close ends the ledger: what the store does not take in time stays in the journal.
func (b *books) close(logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), booksTimeout)
	defer cancel()
	if err := b.journal.Close(ctx); err != nil {
		logger.Warn("records stay in the journal until the next start", "error", err)
	}
	if err := b.store.Close(); err != nil {
		logger.Warn("the ledger was not closed", "error", err)
	}
}

// booksTimeout bounds the end of the ledger.
const booksTimeout = 10 * time.Second

// retain deletes, once a day, what is older than age. It ends with ctx.
func (b *books) retain(ctx context.Context, age time.Duration, logger *slog.Logger) {
	const day = 24 * time.Hour
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-timer.C:
			if n, err := b.store.Delete(ctx, now.Add(-age)); err != nil {
				logger.Warn("old records could not be deleted", "error", err)
			} else if n > 0 {
				logger.Info("old records were deleted", "records", n)
			}
			timer.Reset(day)
		}
	}
}

// bookRecorder keeps each record in the journal, and then tells next of it.
type bookRecorder struct {
	*ledger.Journal
	next llmproxy.Recorder
}

var _ llmproxy.Settler = bookRecorder{}

func (b bookRecorder) Record(ctx context.Context, r *llmproxy.Record) error {
	return errors.Join(b.Journal.Record(ctx, r), b.next.Record(ctx, r))
}

// lateStore is a store that is opened when it is first needed, and again after that has
// failed.
type lateStore struct {
	open func(context.Context) (ledger.Store, error)

	mu     sync.Mutex // guards the following
	store  ledger.Store
	closed bool
}

var errLateStoreClosed = errors.New("the ledger is closed")

func (l *lateStore) get(ctx context.Context) (ledger.Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errLateStoreClosed
	}
	if l.store == nil {
		s, err := l.open(ctx)
		if err != nil {
			return nil, err
		}
		l.store = s
	}
	return l.store, nil
}

func (l *lateStore) Append(ctx context.Context, records []llmproxy.Record) error {
	s, err := l.get(ctx)
	if err != nil {
		return err
	}
	return s.Append(ctx, records)
}

func (l *lateStore) Records(ctx context.Context, f ledger.Filter, yield func(*llmproxy.Record) error) error {
	s, err := l.get(ctx)
	if err != nil {
		return err
	}
	return s.Records(ctx, f, yield)
}

func (l *lateStore) Sums(ctx context.Context, f ledger.Filter, by ledger.Grouping) ([]ledger.Sum, error) {
	s, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	return s.Sums(ctx, f, by)
}

func (l *lateStore) Pending(ctx context.Context, provider, responseID string) (llmproxy.Record, bool, error) {
	s, err := l.get(ctx)
	if err != nil {
		return llmproxy.Record{}, false, err
	}
	return s.Pending(ctx, provider, responseID)
}

func (l *lateStore) Reprice(ctx context.Context, records []llmproxy.Record) error {
	s, err := l.get(ctx)
	if err != nil {
		return err
	}
	return s.Reprice(ctx, records)
}

func (l *lateStore) Repriced(ctx context.Context, f ledger.Filter, yield func(now, original *llmproxy.Record) error) error {
	s, err := l.get(ctx)
	if err != nil {
		return err
	}
	return s.Repriced(ctx, f, yield)
}

func (l *lateStore) Delete(ctx context.Context, before time.Time) (int64, error) {
	s, err := l.get(ctx)
	if err != nil {
		return 0, err
	}
	return s.Delete(ctx, before)
}

func (l *lateStore) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.store == nil {
		return nil
	}
	return l.store.Close()
}
