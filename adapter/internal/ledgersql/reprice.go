package ledgersql

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/llmproxy/llmproxy"
)

// repriceChunk is how many records are read and written at once.
const repriceChunk = 500

// Reprice implements [ledger.Store]: all of the records or, with an error, none. Those
// that are not there are skipped.
func (s *Store) Reprice(ctx context.Context, records []llmproxy.Record) error {
	return s.call(ctx, "reprice", func(ctx context.Context) (err error) {
		costs := make(map[string]*llmproxy.Record, len(records))
		ids := make([]string, 0, len(records))
		for i := range records {
			id := columnText(records[i].ID)
			if costs[id] == nil {
				ids = append(ids, id)
			}
			costs[id] = &records[i]
		}
		slices.Sort(ids) // the order in which Append takes its locks, too
		tx, err := s.b.Writes.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, ignoreDone(tx.Rollback()))
			}
		}()
		for chunk := range slices.Chunk(ids, repriceChunk) {
			if err := s.repriceSome(ctx, tx, chunk, costs); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
}

// ignoreDone drops the error of rolling back what has been rolled back already, as
// database/sql does when the context ends.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

func (s *Store) repriceSome(ctx context.Context, tx *sql.Tx, ids []string, costs map[string]*llmproxy.Record) error {
	ctx, cancel := s.statement(ctx)
	defer cancel()
	q := s.query("SELECT " + s.b.Milliseconds + ", id, record, original FROM usage_records WHERE id IN (")
	q.add(s.b.Each(q.placeholder(jsonArray(ids))))
	q.add(") ORDER BY id" + s.b.Lock)
	found, err := tx.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return err
	}
	before, err := collect(found)
	if err != nil || len(before) == 0 {
		return err
	}
	rows := make([]Row, len(before))
	var text []byte
	for i := range before {
		now, _, err := before[i].decode()
		if err != nil {
			return err
		}
		r := costs[before[i].id]
		now.Cost, now.CostKnown, now.CostState = r.Cost, r.CostKnown, r.CostState
		now.ListCost, now.ListCostKnown, now.PriceVersion = r.ListCost, r.ListCostKnown, r.PriceVersion
		text = rows[i].set(now, text[:0])
	}
	return s.b.Update(ctx, tx, rows)
}
