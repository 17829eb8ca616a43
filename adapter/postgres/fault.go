package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/llmproxy/llmproxy/ledger"
)

// fault says what err means to a ledger.
func fault(err error) error {
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok && aboutValues(failed.Code) {
		return fmt.Errorf("%w (%w)", ledger.ErrRefused, err)
	}
	return err
}

// aboutValues reports whether an SQLSTATE is about a statement's values and not about the
// server: its class is "data exception" or "integrity constraint violation"
// (https://www.postgresql.org/docs/current/errcodes-appendix.html).
func aboutValues(code string) bool {
	return strings.HasPrefix(code, "22") || strings.HasPrefix(code, "23")
}
