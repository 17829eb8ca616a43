package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/keys"
)

// Keys keeps gateway keys, what was made with which, and what is spent and held of their
// budgets, in the ledger's database, which several gateways may share. Its methods may be
// called by many goroutines at once.
type Keys struct{ store *Store }

var (
	_ keys.Store      = (*Keys)(nil)
	_ keys.OwnerStore = (*Keys)(nil)
	_ keys.Holder     = (*Keys)(nil)
)

// OpenKeys opens the gateway keys in the database at url, as [Open] does the ledger in it,
// on connections of its own: requests wait for holds, and must not wait for records.
func OpenKeys(ctx context.Context, url string) (*Keys, error) {
	s, err := Open(ctx, url)
	if err != nil {
		return nil, err
	}
	return &Keys{s}, nil
}

// Close ends all connections once its calls have returned. It may be called more than once.
func (s *Keys) Close() error { return s.store.Close() }

// keysFault names the operation that err, if it is one, ended.
func keysFault(operation string, err error) error {
	switch {
	case err == nil, errors.Is(err, keys.ErrExists), errors.Is(err, keys.ErrNotFound):
		return err
	}
	return fmt.Errorf("postgres: %s: %w", operation, err)
}

const addRevision = "UPDATE gateway_keys_revision SET revision = revision + 1"

// Create implements [keys.Store].
func (s *Keys) Create(ctx context.Context, k keys.Key) error {
	text, err := json.Marshal(k)
	if err != nil {
		return keysFault("create a key", err)
	}
	err = pgx.BeginFunc(ctx, s.store.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO gateway_keys (id, hash, created, revoked, key) VALUES ($1, $2, $3, $4, CAST($5 AS json))",
			k.ID, k.Hash[:], k.Created.UnixMilli(), nullTime(k.Revoked), string(text))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, addRevision)
		return err
	})
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok && failed.Code == "23505" { // unique_violation
		err = keys.ErrExists
	}
	return keysFault("create a key", err)
}

func nullTime(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}

// Get implements [keys.Store].
func (s *Keys) Get(ctx context.Context, id string) (keys.Key, error) {
	list, err := s.read(ctx, "SELECT hash, revoked, CAST(key AS text) FROM gateway_keys WHERE id = $1", id)
	switch {
	case err != nil:
		return keys.Key{}, keysFault("read a key", err)
	case len(list) == 0:
		return keys.Key{}, keys.ErrNotFound
	}
	return list[0], nil
}

// List implements [keys.Store].
func (s *Keys) List(ctx context.Context) ([]keys.Key, error) {
	list, err := s.read(ctx, "SELECT hash, revoked, CAST(key AS text) FROM gateway_keys ORDER BY created, id")
	return list, keysFault("read the keys", err)
}

func (s *Keys) read(ctx context.Context, query string, args ...any) ([]keys.Key, error) {
	rows, err := s.store.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (k keys.Key, err error) {
		var hash []byte
		var revoked *int64
		var text string
		if err := row.Scan(&hash, &revoked, &text); err != nil {
			return k, err
		}
		if err := json.Unmarshal([]byte(text), &k); err != nil {
			return k, fmt.Errorf("a key: %w", err)
		}
		if copy(k.Hash[:], hash) != len(k.Hash) {
			return k, errors.New("a key's hash is not whole")
		}
		k.Revoked = time.Time{}
		if revoked != nil {
			k.Revoked = time.UnixMilli(*revoked).UTC()
		}
		return k, nil
	})
}

// Revoke implements [keys.Store].
func (s *Keys) Revoke(ctx context.Context, id string, at time.Time) error {
	return keysFault("revoke a key", pgx.BeginFunc(ctx, s.store.pool, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, "UPDATE gateway_keys SET revoked = $1 WHERE id = $2 AND revoked IS NULL", at.UnixMilli(), id)
		if err != nil {
			return err
		}
		if done.RowsAffected() > 0 {
			_, err := tx.Exec(ctx, addRevision)
			return err
		}
		var there int
		err = tx.QueryRow(ctx, "SELECT 1 FROM gateway_keys WHERE id = $1", id).Scan(&there)
		if errors.Is(err, pgx.ErrNoRows) {
			return keys.ErrNotFound
		}
		return err
	}))
}

// Revision implements [keys.Store].
func (s *Keys) Revision(ctx context.Context) (revision int64, err error) {
	err = s.store.pool.QueryRow(ctx, "SELECT revision FROM gateway_keys_revision").Scan(&revision)
	return revision, keysFault("look for changed keys", err)
}

// Own implements [keys.OwnerStore].
func (s *Keys) Own(ctx context.Context, owned []keys.Owned) error {
	ids, by, times := make([]string, len(owned)), make([]string, len(owned)), make([]int64, len(owned))
	for i, o := range owned {
		ids[i], by[i], times[i] = o.ID, o.Key, o.Time.UnixMilli()
	}
	_, err := s.store.pool.Exec(ctx, "INSERT INTO owned (id, key, time)"+
		" SELECT * FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS bigint[])) ON CONFLICT DO NOTHING", ids, by, times)
	return keysFault("keep what a key has made", err)
}

// Owners implements [keys.OwnerStore].
func (s *Keys) Owners(ctx context.Context, id string) ([]string, error) {
	rows, err := s.store.pool.Query(ctx, "SELECT key FROM owned WHERE id = $1 ORDER BY key", id)
	if err != nil {
		return nil, keysFault("find out whose something is", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return list, keysFault("find out whose something is", err)
}

// Forget implements [keys.OwnerStore]. It removes budgets, too, of periods that began
// before then and are settled.
func (s *Keys) Forget(ctx context.Context, before time.Time) (n int64, err error) {
	for {
		done, err := s.store.pool.Exec(ctx,
			"DELETE FROM owned WHERE (id, key) IN (SELECT id, key FROM owned WHERE time < $1 ORDER BY time LIMIT $2)",
			before.UnixMilli(), forgetChunk)
		n += done.RowsAffected()
		if err != nil {
			return n, keysFault("forget what keys have made", err)
		}
		if done.RowsAffected() < forgetChunk {
			break
		}
	}
	// Those without an end begin long before any that has one.
	_, err = s.store.pool.Exec(ctx, "DELETE FROM key_budgets b WHERE b.since >= 0 AND b.since < $1 AND b.held = 0"+
		" AND b.since < EXTRACT(EPOCH FROM now()) - 32 * 86400"+
		" AND NOT EXISTS (SELECT FROM key_holds h WHERE h.key = b.key AND h.since = b.since AND h.open)", before.Unix())
	if err == nil {
		_, err = s.store.pool.Exec(ctx, "DELETE FROM key_holds WHERE NOT open AND expires < now() - interval '7 days'")
	}
	return n, keysFault("forget budgets that are over", err)
}

// forgetChunk is how many rows one statement deletes: others write in between.
const forgetChunk = 5000

// Hold implements [keys.Holder], in one round trip.
func (s *Keys) Hold(ctx context.Context, h keys.Hold) error {
	var ok bool
	var exceeded keys.ExceededError
	err := s.store.pool.QueryRow(ctx, "SELECT ok, spent, held FROM llmproxy_hold($1, $2, $3, $4, $5, $6)",
		h.ID, h.Key, h.Since.Unix(), int64(h.Limit), int64(h.Money), h.Life.Microseconds()).Scan(&ok, &exceeded.Spent, &exceeded.Held)
	switch {
	case err != nil:
		return keysFault("hold", err)
	case !ok:
		return &exceeded
	}
	return nil
}

// Settle implements [keys.Holder], in one round trip.
func (s *Keys) Settle(ctx context.Context, h keys.Hold, cost llmproxy.USD) error {
	return keysFault("settle", s.settle(ctx, h, cost, false))
}

// Charge implements [keys.Holder], in one round trip.
func (s *Keys) Charge(ctx context.Context, h keys.Hold, cost llmproxy.USD) error {
	return keysFault("charge", s.settle(ctx, h, cost, true))
}

func (s *Keys) settle(ctx context.Context, h keys.Hold, cost llmproxy.USD, charge bool) error {
	_, err := s.store.pool.Exec(ctx, "SELECT llmproxy_settle($1, $2, $3, $4, $5)", h.ID, h.Key, h.Since.Unix(), int64(cost), charge)
	return err
}
