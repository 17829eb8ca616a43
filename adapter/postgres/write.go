package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/llmproxy/llmproxy/adapter/internal/ledgersql"
)

// maxRows bounds the rows of one statement; more of them are one transaction.
const maxRows = 1000

// inserter returns what adds rows. They travel as one array a column, in one statement and
// so in one round trip: a batch of statements, one a row, takes half as long again.
func inserter(pool *pgxpool.Pool) func(context.Context, []ledgersql.Row) error {
	statement := insertStatement()
	return func(ctx context.Context, rows []ledgersql.Row) error {
		if len(rows) <= maxRows {
			_, err := pool.Exec(ctx, statement, columnsOf(rows)...)
			return err
		}
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			for some := range slices.Chunk(rows, maxRows) {
				if _, err := tx.Exec(ctx, statement, columnsOf(some)...); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// insertStatement returns the statement for what columnsOf returns.
func insertStatement() string {
	var values, arrays strings.Builder
	columns := ledgersql.Columns()
	for i, column := range columns {
		if i > 0 {
			values.WriteString(", ")
			arrays.WriteString(", ")
		}
		value, array := column, "bigint"
		switch column {
		case "id", "provider", "model", "key", "outcome", "cost_state", "connection_id", "response_id":
			array = "text"
		case "time":
			array = "timestamptz"
		case "tags":
			value, array = "CAST(NULLIF(tags, '') AS jsonb)", "text"
		case "record":
			value, array = "CAST(record AS json)", "text"
		case "revision", "cost", "list_cost", "duration_ms", "ttft_ms":
		default:
			value = "NULLIF(" + column + ", 0)"
		}
		values.WriteString(value)
		fmt.Fprintf(&arrays, "CAST($%d AS %s[])", i+1, array)
	}
	names := strings.Join(columns, ", ")
	return "INSERT INTO usage_records (" + names + ") SELECT " + values.String() +
		" FROM unnest(" + arrays.String() + ") AS u (" + names + ")" + ledgersql.OnConflict()
}

// columnsOf returns rows as one slice a column, in the order of [ledgersql.Columns]. A
// count that is 0 in all of them is a NULL instead of an array, which unnest pads.
func columnsOf(rows []ledgersql.Row) []any {
	texts := func(of func(*ledgersql.Row) string) []string { return column(rows, of) }
	numbers := func(of func(*ledgersql.Row) int64) []int64 { return column(rows, of) }
	columns := []any{
		texts(func(r *ledgersql.Row) string { return r.ID }),
		numbers(func(r *ledgersql.Row) int64 { return r.Revision }),
		column(rows, func(r *ledgersql.Row) time.Time { return r.Time }),
		texts(func(r *ledgersql.Row) string { return r.Provider }),
		texts(func(r *ledgersql.Row) string { return r.Model }),
		texts(func(r *ledgersql.Row) string { return r.Key }),
		texts(func(r *ledgersql.Row) string { return r.Outcome }),
		texts(func(r *ledgersql.Row) string { return r.CostState }),
		texts(func(r *ledgersql.Row) string { return r.ConnectionID }),
		texts(func(r *ledgersql.Row) string { return r.ResponseID }),
		texts(func(r *ledgersql.Row) string { return r.Tags }),
		column(rows, func(r *ledgersql.Row) *int64 { return r.Cost }),
		column(rows, func(r *ledgersql.Row) *int64 { return r.ListCost }),
		numbers(func(r *ledgersql.Row) int64 { return r.Duration }),
		numbers(func(r *ledgersql.Row) int64 { return r.TTFT }),
	}
	for i := range rows[0].Counters {
		var counts []int64
		if slices.ContainsFunc(rows, func(r ledgersql.Row) bool { return r.Counters[i] != 0 }) {
			counts = numbers(func(r *ledgersql.Row) int64 { return r.Counters[i] })
		}
		columns = append(columns, counts)
	}
	return append(columns, texts(func(r *ledgersql.Row) string { return r.Record }))
}

func column[T any](rows []ledgersql.Row, of func(*ledgersql.Row) T) []T {
	values := make([]T, len(rows))
	for i := range rows {
		values[i] = of(&rows[i])
	}
	return values
}

// update implements what [ledgersql.Backend] asks of Update.
func update(ctx context.Context, tx *sql.Tx, rows []ledgersql.Row) error {
	_, err := tx.ExecContext(ctx, "UPDATE usage_records AS r SET cost = u.cost, list_cost = u.list_cost,"+
		" cost_state = u.cost_state, original = COALESCE(r.original, r.record), record = CAST(u.record AS json)"+
		" FROM unnest(CAST($1 AS text[]), CAST($2 AS bigint[]), CAST($3 AS bigint[]), CAST($4 AS text[]), CAST($5 AS text[]))"+
		" AS u (id, cost, list_cost, cost_state, record) WHERE r.id = u.id",
		column(rows, func(r *ledgersql.Row) string { return r.ID }),
		column(rows, func(r *ledgersql.Row) *int64 { return r.Cost }),
		column(rows, func(r *ledgersql.Row) *int64 { return r.ListCost }),
		column(rows, func(r *ledgersql.Row) string { return r.CostState }),
		column(rows, func(r *ledgersql.Row) string { return r.Record }),
	)
	return err
}
