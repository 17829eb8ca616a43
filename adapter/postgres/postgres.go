// Package postgres keeps the ledger in a Postgres database, which several gateways may
// share.
//
// Its tables are usage_records and llmproxy_schema, in the first schema of the
// connection's search path.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/llmproxy/llmproxy/adapter/internal/ledgersql"
	"github.com/llmproxy/llmproxy/ledger"
)

// Store is a [ledger.Store] in a Postgres database. Its methods may be called by many
// goroutines at once. Calls after Close return an error that is [io/fs.ErrClosed].
//
// A call whose connection breaks returns an error, and the next one connects anew. Append
// may be repeated then: what had been kept is skipped.
type Store struct {
	*ledgersql.Store
	pool *pgxpool.Pool
}

var _ ledger.Store = (*Store)(nil)

// ErrNewer means that a later version of the program has changed the database's schema.
var ErrNewer = ledgersql.ErrNewer

const (
	// connectTimeout is how long a connection may take, unless the URL has a
	// connect_timeout.
	connectTimeout = 10 * time.Second

	// statementTimeout is how long a statement may take, connecting included, unless the
	// URL has a statement_timeout: the server's then is the only one.
	statementTimeout = 60 * time.Second

	// grace is how long a statement may go on when its context has ended. Without it a
	// connection may be cut inside a message, and then takes pgx 15 seconds to close.
	grace = 500 * time.Millisecond
)

//go:embed migrations/*.sql
var migrations embed.FS

// Open connects to the database at url, which is in one of the forms that libpq knows
// ("postgres://user:password@host/database?sslmode=verify-full"), and brings its schema up
// to date; several may do so at once. The environment (PGPASSWORD and so on) and password
// files count as they do in libpq. Settings of the pool, such as pool_max_conns, may stand
// in the URL too.
//
// No error holds the password; one that is about the URL does not quote it at all.
func Open(ctx context.Context, url string) (*Store, error) {
	s, err := open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("postgres: open: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, url string) (*Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// Not its text: the parser quotes what it takes to be no password.
		return nil, errors.New("this is no connection URL of Postgres, or a setting of it is wrong" +
			" (in a user's name or password, characters other than letters and digits must be percent-encoded)")
	}
	timeout := statementTimeout
	if config.ConnConfig.RuntimeParams["statement_timeout"] != "" {
		timeout = 0
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "llmproxy"
	}
	config.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: c.Conn(), DeadlineDelay: grace}
	}
	if err := prepare(ctx, config.ConnConfig); err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDBFromPool(pool)
	return &Store{ledgersql.New(ledgersql.Backend{
		Name:   "postgres",
		Writes: db, Reads: db,
		Arg:          placeholder,
		Time:         func(t time.Time) any { return t },
		Milliseconds: "CAST(EXTRACT(EPOCH FROM time) * 1000 AS BIGINT)",
		Tag:          func(arg string) string { return "(tags ->> CAST(" + arg + " AS TEXT))" },
		Each: func(arg string) string {
			return "SELECT jsonb_array_elements_text(CAST(" + arg + " AS JSONB))"
		},
		Lock:    " FOR UPDATE",
		Insert:  inserter(pool),
		Update:  update,
		Fault:   fault,
		Timeout: timeout,
	}), pool}, nil
}

// Close implements [ledger.Store].
func (s *Store) Close() error {
	err := s.Store.Close()
	s.pool.Close()
	return err
}

func placeholder(n int) string { return "$" + strconv.Itoa(n) }
