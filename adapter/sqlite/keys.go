package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/llmproxy/llmproxy/keys"
)

// Keys keeps gateway keys, and what was made with which, in the ledger's file. Its methods
// may be called by many goroutines at once, and other processes may have the file open.
type Keys struct {
	file   *file
	closed func() error
}

var (
	_ keys.Store      = (*Keys)(nil)
	_ keys.OwnerStore = (*Keys)(nil)
)

// OpenKeys opens the gateway keys in the file at path, as [Open] does the ledger in it, on
// connections of its own.
func OpenKeys(ctx context.Context, path string) (*Keys, error) {
	f := &file{name: filepath.Base(path), busy: busyTimeout}
	if err := f.open(ctx, path); err != nil {
		return nil, err
	}
	return newKeys(f), nil
}

func newKeys(f *file) *Keys { return &Keys{file: f, closed: sync.OnceValue(f.close)} }

// Close ends all connections. It may be called more than once.
func (s *Keys) Close() error { return s.fault("close", s.closed()) }

// fault names the operation that err, if it is one, ended.
func (s *Keys) fault(operation string, err error) error {
	switch {
	case err == nil, errors.Is(err, keys.ErrExists), errors.Is(err, keys.ErrNotFound):
		return err
	}
	return fmt.Errorf("sqlite: %s: %s: %w", s.file.name, operation, fault(err))
}

// change runs a transaction that changes keys if do says so.
func (s *Keys) change(ctx context.Context, do func(*sql.Tx) (changed bool, err error)) (err error) {
	tx, err := s.file.writes.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = ended(ctx, tx, err) }()
	changed, err := do(tx)
	if err == nil && changed {
		_, err = tx.ExecContext(ctx, "UPDATE gateway_keys_revision SET revision = revision + 1")
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// Create implements [keys.Store].
func (s *Keys) Create(ctx context.Context, k keys.Key) error {
	text, err := json.Marshal(k)
	if err != nil {
		return s.fault("create a key", err)
	}
	return s.fault("create a key", s.change(ctx, func(tx *sql.Tx) (bool, error) {
		_, err := tx.ExecContext(ctx, "INSERT INTO gateway_keys (id, hash, created, revoked, key) VALUES (?, ?, ?, ?, ?)",
			k.ID, k.Hash[:], k.Created.UnixMilli(), nullTime(k.Revoked), string(text))
		if failed, ok := errors.AsType[*sqlite.Error](err); ok && failed.Code()&0xff == sqlite3.SQLITE_CONSTRAINT {
			return false, keys.ErrExists
		}
		return true, err
	}))
}

func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// Get implements [keys.Store].
func (s *Keys) Get(ctx context.Context, id string) (keys.Key, error) {
	list, err := s.read(ctx, "SELECT hash, revoked, key FROM gateway_keys WHERE id = ?", id)
	switch {
	case err != nil:
		return keys.Key{}, s.fault("read a key", err)
	case len(list) == 0:
		return keys.Key{}, keys.ErrNotFound
	}
	return list[0], nil
}

// List implements [keys.Store].
func (s *Keys) List(ctx context.Context) ([]keys.Key, error) {
	list, err := s.read(ctx, "SELECT hash, revoked, key FROM gateway_keys ORDER BY created, id")
	return list, s.fault("read the keys", err)
}

func (s *Keys) read(ctx context.Context, query string, args ...any) (list []keys.Key, err error) {
	rows, err := s.file.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var hash, text []byte
		var revoked sql.NullInt64
		var k keys.Key
		if err := rows.Scan(&hash, &revoked, &text); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &k); err != nil {
			return nil, fmt.Errorf("a key: %w", err)
		}
		if copy(k.Hash[:], hash) != len(k.Hash) {
			return nil, errors.New("a key's hash is not whole")
		}
		k.Revoked = time.Time{}
		if revoked.Valid {
			k.Revoked = time.UnixMilli(revoked.Int64).UTC()
		}
		list = append(list, k)
	}
	return list, rows.Err()
}

// Revoke implements [keys.Store].
func (s *Keys) Revoke(ctx context.Context, id string, at time.Time) error {
	return s.fault("revoke a key", s.change(ctx, func(tx *sql.Tx) (bool, error) {
		result, err := tx.ExecContext(ctx, "UPDATE gateway_keys SET revoked = ? WHERE id = ? AND revoked IS NULL", at.UnixMilli(), id)
		if err != nil {
			return false, err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return n > 0, err
		}
		var there int
		err = tx.QueryRowContext(ctx, "SELECT 1 FROM gateway_keys WHERE id = ?", id).Scan(&there)
		if errors.Is(err, sql.ErrNoRows) {
			err = keys.ErrNotFound
		}
		return false, err
	}))
}

// Revision implements [keys.Store].
func (s *Keys) Revision(ctx context.Context) (revision int64, err error) {
	err = s.file.reads.QueryRowContext(ctx, "SELECT revision FROM gateway_keys_revision").Scan(&revision)
	return revision, s.fault("look for changed keys", err)
}

// Own implements [keys.OwnerStore].
func (s *Keys) Own(ctx context.Context, owned []keys.Owned) error {
	return s.fault("keep what a key has made", s.change(ctx, func(tx *sql.Tx) (bool, error) {
		insert, err := tx.PrepareContext(ctx, "INSERT INTO owned (id, key, time) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
		if err != nil {
			return false, err
		}
		defer insert.Close()
		for _, o := range owned {
			if _, err := insert.ExecContext(ctx, o.ID, o.Key, o.Time.UnixMilli()); err != nil {
				return false, err
			}
		}
		return false, nil
	}))
}

// Owners implements [keys.OwnerStore].
func (s *Keys) Owners(ctx context.Context, id string) (list []string, err error) {
	var joined sql.NullString
	err = s.file.reads.QueryRowContext(ctx,
		"SELECT group_concat(key, ' ') FROM (SELECT key FROM owned WHERE id = ? ORDER BY key)", id).Scan(&joined)
	return strings.Fields(joined.String), s.fault("find out whose something is", err)
}

// Forget implements [keys.OwnerStore].
func (s *Keys) Forget(ctx context.Context, before time.Time) (n int64, err error) {
	for {
		result, err := s.file.writes.ExecContext(ctx,
			"DELETE FROM owned WHERE (id, key) IN (SELECT id, key FROM owned WHERE time < ? ORDER BY time LIMIT ?)",
			before.UnixMilli(), forgetChunk)
		if err != nil {
			return n, s.fault("forget what keys have made", err)
		}
		some, err := result.RowsAffected()
		n += some
		if err != nil || some < forgetChunk {
			return n, s.fault("forget what keys have made", err)
		}
	}
}

// forgetChunk is how many rows one statement deletes: others write in between.
const forgetChunk = 5000
