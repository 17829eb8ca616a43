package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// files is the directory of a journal. Tests put one in its place that fails, is full, or
// forgets what was not synced.
type files interface {
	// names returns the names of all files.
	names() ([]string, error)
	// create makes a file that must not be there yet.
	create(name string) (file, error)
	// open opens a file that is there.
	open(name string) (file, error)
	// remove deletes a file.
	remove(name string) error
	// sync makes the names of created and removed files durable.
	sync() error
	// lock takes the directory for this process until the result is closed: [ErrLocked]
	// where another has it.
	lock() (io.Closer, error)
}

// file is one file of a journal.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	// size is where the file ends.
	size() (int64, error)
	// allocate makes the file size bytes long, so that writing into them needs no further
	// space. What was not written reads as zeros.
	allocate(size int64) error
}

// ErrLocked means that another process has the journal's directory.
var ErrLocked = errors.New("ledger: another process uses the journal")

// lockName is the file that the lock is on. It stays.
const lockName = "lock"

// directory is files in a real directory.
type directory string

func openDirectory(path string) (directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("ledger: %w", err)
	}
	return directory(path), nil
}

func (d directory) names() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (d directory) create(name string) (file, error) {
	return d.openFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func (d directory) open(name string) (file, error) { return d.openFile(name, os.O_RDWR) }

func (d directory) openFile(name string, flag int) (file, error) {
	f, err := os.OpenFile(filepath.Join(string(d), name), flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d directory) remove(name string) error { return os.Remove(filepath.Join(string(d), name)) }

func (d directory) sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) {
		err = nil // a system that has no such thing
	}
	return cmp.Or(err, f.Close())
}

func (d directory) lock() (io.Closer, error) { return lockFile(filepath.Join(string(d), lockName)) }

type osFile struct{ *os.File }

func (f osFile) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) allocate(size int64) error {
	err := preallocate(f.File, size)
	if errors.Is(err, errors.ErrUnsupported) {
		return zeros(f, size)
	}
	return err
}

// zeros fills f up to size.
func zeros(f file, size int64) error {
	at, err := f.size()
	if err != nil {
		return err
	}
	block := make([]byte, 64<<10)
	for at < size && err == nil {
		n, werr := f.WriteAt(block[:min(size-at, int64(len(block)))], at)
		at, err = at+int64(n), werr
	}
	return err
}
