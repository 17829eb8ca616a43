//go:build !windows && (!unix || aix || solaris || illumos)

package ledger

import (
	"errors"
	"fmt"
	"io"
)

// lockFile has no lock to take: without one, no journal.
func lockFile(string) (io.Closer, error) {
	return nil, fmt.Errorf("lock: %w", errors.ErrUnsupported)
}
