package ledger

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// preallocate makes f size bytes long, its blocks on the disk.
func preallocate(f *os.File, size int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err == nil:
			return nil
		default:
			return fmt.Errorf("allocate %d bytes: %w", size, err)
		}
	}
}
