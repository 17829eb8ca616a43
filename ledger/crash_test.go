package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// Whichever moment a gateway is killed at, an exchange that its client has in full has one
// record, its own; one that a provider was called for has one record.
func TestKill(t *testing.T) {
	t.Parallel()
	newCrashes(t).run(crashes(t, 50), func(int) bool { return true })
}

// The same with a store that is down all the time, and up in the end.
func TestKillWithStoreDown(t *testing.T) {
	t.Parallel()
	newCrashes(t).run(crashes(t, 50), func(int) bool { return false })
}

// The same on a disk that is full again and again, with a store that is up now and then.
func TestKillOnFullDisk(t *testing.T) {
	t.Parallel()
	c := newCrashes(t)
	c.capacity = 3 * smallestSegment
	// Not 50: each fills the disk first, with 600 exchanges, and takes a second with the race detector.
	c.run(crashes(t, 15), func(n int) bool { return n%3 == 2 })
	if c.unavailable.Load() == 0 && !testing.Short() {
		t.Error("the disk was never full")
	}
}

func crashes(t *testing.T, n int) int {
	if testing.Short() {
		return max(n/10, 3)
	}
	return n
}

// OpenStore opens the store that is in a file.
type OpenStore func(ctx context.Context, path string) (Store, error)

// KillWith is the same with a store that is in a file, which the gateway has open when
// it is killed.
func KillWith(t *testing.T, openStore OpenStore) {
	t.Helper()
	c := newCrashes(t)
	c.file, c.openStore = filepath.Join(t.TempDir(), "ledger.db"), openStore
	c.run(crashes(t, 50), func(int) bool { return true })
}

// IsChild reports whether this process is a gateway to be killed.
func IsChild() bool { return os.Getenv(childEnv) != "" }

// childEnv tells a process that it is a gateway to be killed, and how: address of the
// provider, address of the store, directory, bytes on the disk, file of the store instead of
// its address.
const childEnv = "LLMPROXY_LEDGER_CHILD"

// Child is the gateway. It ends with its parent, if it is not killed before.
func Child(openStore OpenStore) {
	err := func() error {
		f := strings.Split(os.Getenv(childEnv), ";")
		if len(f) != 5 {
			return fmt.Errorf("%s has %d parts", childEnv, len(f))
		}
		capacity, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			return err
		}
		var store Store = &remoteStore{url: f[1]}
		if f[4] != "" {
			if store, err = openStore(context.Background(), f[4]); err != nil {
				return err
			}
		}
		return serve(f[0], store, f[2], capacity)
	}()
	fmt.Fprintln(os.Stderr, "gateway:", err)
	os.Exit(1)
}

func serve(upstream string, store Store, dir string, capacity int64) error {
	p, err := openai_compatible.New(openai_compatible.Config{Type: "openai", APIKey: "sk-upstream", BaseURL: upstream})
	if err != nil {
		return err
	}
	d, err := openDirectory(dir)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	j, err := open(&smallDisk{d, capacity}, store, Options{SegmentBytes: smallestSegment, Logger: log})
	if err != nil {
		return err
	}
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithRecorder(j), llmproxy.WithLogger(log),
		llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(l.Addr())
	return http.Serve(l, router)
}

// remoteStore puts records into the parent's store.
type remoteStore struct {
	Memory
	url string
}

func (s *remoteStore) Append(ctx context.Context, records []llmproxy.Record) error {
	var b bytes.Buffer
	for i := range records {
		b.Write(records[i].AppendJSON(nil))
		b.WriteByte('\n')
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, &b)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// smallDisk is a directory on a disk with so many bytes; 0 means no end to them.
type smallDisk struct {
	directory
	capacity int64
}

func (d *smallDisk) create(name string) (file, error) {
	f, err := d.directory.create(name)
	return &smallFile{f, d}, err
}

func (d *smallDisk) open(name string) (file, error) {
	f, err := d.directory.open(name)
	if err != nil {
		return nil, err
	}
	return &smallFile{f, d}, nil
}

// room fails where more bytes do not fit.
func (d *smallDisk) room(more int64) error {
	list, err := os.ReadDir(string(d.directory))
	if err != nil {
		return err
	}
	for _, e := range list {
		if info, err := e.Info(); err == nil {
			more += info.Size()
		}
	}
	if d.capacity > 0 && more > d.capacity {
		return syscall.ENOSPC
	}
	return nil
}

type smallFile struct {
	file
	d *smallDisk
}

func (f *smallFile) allocate(size int64) error {
	if err := f.d.room(size); err != nil {
		return err
	}
	return f.file.allocate(size)
}
