package ledger

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// A disk is the files of a journal in memory. It fills up, fails and loses its power as a
// test wants it to.
type disk struct {
	mu       sync.Mutex
	now      map[string]*content // what programs see
	kept     map[string]*content // the names that outlast a power cut
	locked   bool
	capacity int64 // 0: no end to it
	sparse   bool  // allocating takes no space, writing does
	deaf     bool  // syncing does nothing and reports success
	syncing  func(name string) error
	writing  func(name string, off int64) error
	syncs    int
}

// content is one file.
type content struct{ now, kept []byte }

func newDisk() *disk { return &disk{now: map[string]*content{}, kept: map[string]*content{}} }

// crash returns the disk as the next process finds it when the process ends here, the
// system does not.
func (d *disk) crash() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := &disk{now: map[string]*content{}, kept: map[string]*content{}, capacity: d.capacity, sparse: d.sparse}
	for name, c := range d.now {
		copied := &content{bytes.Clone(c.now), bytes.Clone(c.kept)}
		next.now[name] = copied
		if d.kept[name] == c {
			next.kept[name] = copied
		}
	}
	return next
}

// powerCut returns the disk as it is after a power cut here. Of what was not synced, r
// decides sector by sector what is there; nothing is where r is nil.
func (d *disk) powerCut(r *rand.Rand) *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := newDisk()
	for name, c := range d.kept {
		b := bytes.Clone(c.kept)
		const sector = 512
		for at := 0; r != nil && at < len(c.now); at += sector {
			if end := min(at+sector, len(c.now)); r.IntN(2) == 0 {
				if end > len(b) {
					b = append(b, make([]byte, end-len(b))...)
				}
				copy(b[at:end], c.now[at:end])
			}
		}
		next.now[name] = &content{bytes.Clone(b), b}
	}
	next.kept = maps.Clone(next.now)
	return next
}

// used returns how many bytes all files have.
func (d *disk) used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bytes()
}

// synced returns how often a file has been synced.
func (d *disk) synced() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}

// bytes is used where d.mu is held.
func (d *disk) bytes() (n int64) {
	for _, c := range d.now {
		n += int64(len(c.now))
	}
	return n
}

func (d *disk) names() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.now)), nil
}

func (d *disk) segments() (names []string) {
	all, _ := d.names()
	for _, name := range all {
		if _, ok := segmentNumber(name); ok {
			names = append(names, name)
		}
	}
	return names
}

func (d *disk) create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now[name] != nil {
		return nil, fs.ErrExist
	}
	d.now[name] = &content{}
	return &diskFile{d, name, d.now[name]}, nil
}

func (d *disk) open(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now[name] == nil {
		return nil, fs.ErrNotExist
	}
	return &diskFile{d, name, d.now[name]}, nil
}

func (d *disk) remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now[name] == nil {
		return fs.ErrNotExist
	}
	delete(d.now, name)
	return nil
}

func (d *disk) sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.deaf {
		d.kept = maps.Clone(d.now)
	}
	return nil
}

func (d *disk) lock() (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, ErrLocked
	}
	d.locked = true
	return diskLock{d}, nil
}

type diskLock struct{ d *disk }

func (l diskLock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	l.d.locked = false
	return nil
}

type diskFile struct {
	d    *disk
	name string
	c    *content
}

func (f *diskFile) ReadAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return bytes.NewReader(f.c.now).ReadAt(b, off)
}

func (f *diskFile) WriteAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.writing != nil {
		if err := f.d.writing(f.name, off); err != nil {
			return 0, err
		}
	}
	if err := f.grow(off + int64(len(b))); err != nil {
		n := copy(f.c.now[min(off, int64(len(f.c.now))):], b) // as far as it goes
		return n, err
	}
	return copy(f.c.now[off:], b), nil
}

// grow makes the file at least size bytes long, within what the disk has.
func (f *diskFile) grow(size int64) error {
	more := size - int64(len(f.c.now))
	if more <= 0 {
		return nil
	}
	if f.d.capacity > 0 {
		if left := f.d.capacity - f.d.bytes(); more > left {
			f.c.now = append(f.c.now, make([]byte, max(left, 0))...)
			return syscall.ENOSPC
		}
	}
	f.c.now = append(f.c.now, make([]byte, more)...)
	return nil
}

func (f *diskFile) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if size > int64(len(f.c.now)) {
		return f.grow(size)
	}
	f.c.now = f.c.now[:size:size]
	return nil
}

func (f *diskFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.syncs++
	if f.d.syncing != nil {
		if err := f.d.syncing(f.name); err != nil {
			return err
		}
	}
	if !f.d.deaf {
		f.c.kept = bytes.Clone(f.c.now)
	}
	return nil
}

func (f *diskFile) size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.c.now)), nil
}

func (f *diskFile) allocate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.sparse {
		return nil
	}
	return f.grow(size)
}

func (f *diskFile) Close() error { return nil }

// The disk itself: what is synced is kept, what is not is lost, and it fills up.
func TestDisk(t *testing.T) {
	t.Parallel()
	d := newDisk()
	d.capacity = 10
	f, _ := d.create("a")
	if _, err := f.WriteAt([]byte("1234"), 0); err != nil {
		t.Fatal(err)
	}
	_ = f.Sync()
	_ = d.sync()
	_, _ = f.WriteAt([]byte("5678"), 4)
	_, _ = d.create("b")
	cut := d.powerCut(nil)
	if got := string(cut.now["a"].now); got != "1234" || cut.now["b"] != nil {
		t.Errorf("after a power cut: %q, %v", got, cut.now["b"])
	}
	if got := string(d.crash().now["a"].now); got != "12345678" {
		t.Errorf("after a crash: %q", got)
	}
	if n, err := f.WriteAt([]byte("9abc"), 8); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: %d, %v", n, err)
	}
}
