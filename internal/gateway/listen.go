package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// listen opens a. The error names the address and says what to do where that is known.
func (a Address) listen(ctx context.Context) (net.Listener, error) {
	if a.Network == "unix" {
		l, err := listenUnix(ctx, a.Address)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", a, plainReason(err))
		}
		return l, nil
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", a.Address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: %w; choose another with --listen", a, syscall.EADDRINUSE)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", a, plainReason(err))
	}
	return l, nil
}

// plainReason takes the address and the system call off err, which the caller names.
func plainReason(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		err = e.Err
	}
	return err
}

var errSocketInUse = errors.New("another process listens on this socket")

// listenUnix opens a socket at path that only this user can connect to. What a process
// that is gone has left there is replaced; anything else stays, and is an error.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, errors.New("a file that is no socket is there already")
	default:
		var dialer net.Dialer
		if c, err := dialer.DialContext(ctx, "unix", path); err == nil {
			c.Close()
			return nil, errSocketInUse
		} else if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, err
		}
	}
	// In a directory of our own nobody can connect before the socket has its mode; the
	// rename then puts it in its place, over a stale one.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	private := filepath.Join(dir, "s")
	if len(private) > maxSocketPath {
		return nil, errors.New("the path of the directory is too long for a socket")
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: private, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	u := &unixListener{UnixListener: l, path: path}
	if err := os.Chmod(private, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if u.info, err = os.Lstat(private); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := os.Rename(private, path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return u, nil
}

// unixListener is a socket that removes its own file, and not one that has taken its
// place since.
type unixListener struct {
	*net.UnixListener
	path string
	info fs.FileInfo
	once sync.Once
}

// Addr returns the address with the path the socket has now.
func (u *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: u.path, Net: "unix"} }

func (u *unixListener) Close() error {
	u.once.Do(func() {
		if now, err := os.Lstat(u.path); err == nil && os.SameFile(now, u.info) {
			_ = os.Remove(u.path)
		}
	})
	return u.UnixListener.Close()
}

// addressOf returns where clients find l, which g serves: a URL, or unix: and a path.
func (g *Gateway) addressOf(l net.Listener) string {
	if g.first.TLS != (TLS{}) && l.Addr().Network() != "unix" {
		return "https://" + l.Addr().String()
	}
	return addressOf(l)
}

// addressOf returns where clients find l, in the clear: a URL, or unix: and a path.
func addressOf(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}
