package sqlite

import (
	"errors"
	"fmt"
	"io/fs"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/llmproxy/llmproxy/adapter/internal/ledgersql"
	"github.com/llmproxy/llmproxy/ledger"
)

// What may be wrong with a ledger's file. The errors of [Open] and of a Store's methods
// wrap them.
var (
	ErrNewer    = ledgersql.ErrNewer // a later version of the program has changed its schema
	ErrFull     = errors.New("the disk is full")
	ErrLocked   = errors.New("another process keeps it locked")
	ErrCorrupt  = errors.New("it is damaged, or no SQLite database")
	ErrReadOnly = errors.New("it cannot be written")
)

// fault says in our own words what err means.
func fault(err error) error {
	if failed, ok := errors.AsType[*sqlite.Error](err); ok {
		if known := sentinel(failed.Code()); known != nil {
			return fmt.Errorf("%w (%w)", known, failed)
		}
	}
	// The name of the file is said already, and its folder is nobody's business.
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// sentinel returns the error for a result code (https://sqlite.org/rescode.html), nil if
// there is none. Its low eight bits are the primary code.
func sentinel(code int) error {
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return ErrFull
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return ErrLocked
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return ErrCorrupt
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return ErrReadOnly
	}
	return nil
}

// refusal says, of an error that a row was not inserted with, whether that is the row's.
func refusal(err error) error {
	if failed, ok := errors.AsType[*sqlite.Error](err); ok {
		switch failed.Code() & 0xff {
		case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
			return fmt.Errorf("%w (%w)", ledger.ErrRefused, err)
		}
	}
	return err
}
