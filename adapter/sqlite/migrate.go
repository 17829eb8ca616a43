package sqlite

import (
	"context"
	"database/sql"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/llmproxy/llmproxy/adapter/internal/ledgersql"
)

// versionTable is where the migrations that have run are noted.
const versionTable = "llmproxy_schema"

// migrate brings the schema of db up to date.
func migrate(ctx context.Context, db *sql.DB) error {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, folder,
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
