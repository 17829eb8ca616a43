package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/llmproxy/llmproxy/adapter/internal/ledgersql"
)

// versionTable is where the migrations that have run are noted.
const versionTable = "llmproxy_schema"

// migrationLock is the key of the advisory lock that is held during migrations: "llmproxy"
// in ASCII.
const migrationLock = 0x6c6c6d70726f7879

// prepare brings the schema of the database up to date, on connections of its own. Its
// statements may take as long as they take.
func prepare(ctx context.Context, config *pgx.ConnConfig) (err error) {
	config = config.Copy()
	delete(config.RuntimeParams, "statement_timeout")
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	// The transaction, and with it the lock, ends with the connection at the latest.
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	var encoding string
	if err := conn.QueryRow(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database's encoding is %s, and records need UTF8", encoding)
	}
	// Several nodes may start at once. A lock of the transaction, unlike one of the
	// session, also holds behind a pooler.
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	for _, setting := range [...]string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		if _, err := tx.Exec(ctx, "SELECT set_config($1, '0', true)", setting); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
		return err
	}
	if err := migrate(ctx, config); err != nil {
		return err
	}
	return tx.Rollback(ctx) // there is nothing in it but the lock
}

func migrate(ctx context.Context, config *pgx.ConnConfig) (err error) {
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, folder,
		goose.WithTableName(versionTable),
		goose.WithLogger(goose.NopLogger()),
		goose.WithDisableGlobalRegistry(true),
	)
	if err != nil {
		return err
	}
	return ledgersql.Migrate(ctx, p.GetVersions, func(ctx context.Context) error {
		_, err := p.Up(ctx)
		return err
	})
}
