package ledgersql

import (
	"context"
	"errors"
	"fmt"
)

// ErrNewer means that a later version of the program has changed the database's schema.
var ErrNewer = errors.New("the database's schema is newer than this program")

// Migrate brings a schema up to date. versions returns the one that the database has and
// the one that this program knows; up applies what is between them.
//
// Another process may be doing the same: an error of up that comes with progress, which
// is then the other's, is not the end.
func Migrate(ctx context.Context, versions func(context.Context) (have, want int64, err error), up func(context.Context) error) error {
	have, want, err := versions(ctx)
	for err == nil && have < want {
		failed := up(ctx)
		before := have
		if have, want, err = versions(ctx); failed != nil && (err != nil || have == before) {
			return failed
		}
	}
	if err != nil {
		return err
	}
	if have > want {
		return fmt.Errorf("%w: version %d, and this program knows %d", ErrNewer, have, want)
	}
	return nil
}
