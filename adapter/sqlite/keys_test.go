package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/sqlite"
	"github.com/llmproxy/llmproxy/keys"
	"github.com/llmproxy/llmproxy/keys/keystest"
)

// openKeys opens the keys in file until the test ends.
func openKeys(t *testing.T, file string) *sqlite.Keys {
	t.Helper()
	s, err := sqlite.OpenKeys(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestKeys(t *testing.T) {
	t.Parallel()
	keystest.Run(t, func(t *testing.T) keys.Store { return openKeys(t, filepath.Join(t.TempDir(), "ledger.db")) })
}

func TestKeysShared(t *testing.T) {
	t.Parallel()
	keystest.RunShared(t, func(t *testing.T) (keys.Store, keys.Store) {
		file := filepath.Join(t.TempDir(), "ledger.db")
		return openKeys(t, file), openKeys(t, file)
	})
}

func TestOwners(t *testing.T) {
	t.Parallel()
	keystest.RunOwners(t, func(t *testing.T) keys.OwnerStore {
		return openKeys(t, filepath.Join(t.TempDir(), "ledger.db"))
	})
}

// Keys and records are in one file, whichever was there first, and no secret is.
func TestKeysBesideLedger(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "ledger.db")
	s := openKeys(t, file)
	k, secret, err := keys.New(keystest.Full(), time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	l := open(t, file)
	if err := l.Append(t.Context(), []llmproxy.Record{{ID: "a", Key: k.ID, Time: time.UnixMilli(1)}}); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if got, err := openKeys(t, file).Get(t.Context(), k.ID); err != nil || got.Name != k.Name {
		t.Errorf("got %q, %v, want %q", got.Name, err, k.Name)
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(folder, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s has the secret", f.Name())
		}
	}
}

// Another process creates and revokes a key while this one has the file open.
func TestKeysOfAnotherProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ledger.db")
	s := openKeys(t, file)
	before, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := child(t, "key", file)
	cmd.Args[1] = "-test.run=^TestKeysChild$"
	if out, err := cmd.Output(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	after, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after != before+2 || len(list) != 1 || list[0].Revoked.IsZero() {
		t.Errorf("the revision went from %d to %d, and the keys are %+v", before, after, list)
	}
}

func TestKeysClosed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ledger.db")
	s, err := sqlite.OpenKeys(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err = s.List(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "sqlite: ledger.db: read the keys: ") {
		t.Errorf("List after Close: got %v", err)
	}
	_, err = sqlite.OpenKeys(t.Context(), filepath.Join(t.TempDir(), "no such folder", "ledger.db"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: got %v, want %v", err, fs.ErrNotExist)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlite.OpenKeys(ctx, file); !errors.Is(err, context.Canceled) {
		t.Errorf("opened over a context that had ended: got %v, want %v", err, context.Canceled)
	}
}

// TestKeysChild is no test, but the other process of one above.
func TestKeysChild(t *testing.T) {
	if os.Getenv(role) != "key" {
		t.Skip("the other process of another test")
	}
	s := openKeys(t, os.Getenv(path))
	k, _, err := keys.New(keys.Key{Name: "a"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if err := s.Revoke(t.Context(), k.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
}
