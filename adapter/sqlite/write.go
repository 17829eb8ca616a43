package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/llmproxy/llmproxy/adapter/internal/ledgersql"
)

func insertRow() string {
	columns := ledgersql.Columns()
	return "INSERT INTO usage_records (" + strings.Join(columns, ", ") + ") VALUES (?" +
		strings.Repeat(", ?", len(columns)-1) + ")" + ledgersql.OnConflict()
}

// insert adds rows in one transaction, and so with one flush to the disk.
func (f *file) insert(ctx context.Context, rows []ledgersql.Row) (err error) {
	tx, err := f.writes.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = ended(ctx, tx, err) }()
	// The driver starts a goroutine for every statement whose context can end.
	background := context.WithoutCancel(ctx)
	insert := tx.StmtContext(background, f.insertRow)
	args := make([]any, 0, len(ledgersql.Columns()))
	for i := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		args = values(args[:0], &rows[i])
		if _, err := insert.ExecContext(background, args...); err != nil {
			return refusal(err)
		}
	}
	return tx.Commit()
}

// ended rolls tx back where err ended it, and says so where that was the end of ctx.
func ended(ctx context.Context, tx *sql.Tx, err error) error {
	if err == nil {
		return nil
	}
	if again := tx.Rollback(); !errors.Is(again, sql.ErrTxDone) {
		err = errors.Join(err, again)
	}
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	return err
}

// values appends the columns of row to args.
func values(args []any, row *ledgersql.Row) []any {
	args = append(args,
		row.ID, row.Revision, row.Time.UnixMilli(), row.Provider, row.Model, row.Key, row.Outcome, row.CostState,
		row.ConnectionID, row.ResponseID, nullText(row.Tags), nullAmount(row.Cost), nullAmount(row.ListCost),
		row.Duration, row.TTFT,
	)
	for _, n := range row.Counters {
		args = append(args, n)
	}
	return append(args, row.Record)
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func nullAmount(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}

// update implements what [ledgersql.Backend] asks of Update.
func (f *file) update(ctx context.Context, tx *sql.Tx, rows []ledgersql.Row) (err error) {
	update, err := tx.PrepareContext(ctx, "UPDATE usage_records SET cost = ?, list_cost = ?, cost_state = ?,"+
		" original = COALESCE(original, record), record = ? WHERE id = ?")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, update.Close()) }()
	background := context.WithoutCancel(ctx)
	for i := range rows {
		row := &rows[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := update.ExecContext(background,
			nullAmount(row.Cost), nullAmount(row.ListCost), row.CostState, row.Record, row.ID); err != nil {
			return err
		}
	}
	return nil
}
