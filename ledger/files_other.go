//go:build !linux

package ledger

import (
	"errors"
	"os"
)

// preallocate is not for this system: zeros are written instead.
func preallocate(*os.File, int64) error { return errors.ErrUnsupported }
