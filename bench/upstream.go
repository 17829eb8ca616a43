package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
)

// Upstream is a provider that reads requests, looks at next to nothing, and sends the
// bytes it was given.
type Upstream struct {
	listener net.Listener
	answer   atomic.Pointer[answer]
	paced    atomic.Bool
	gates    []chan struct{} // of each client: a value for each event it has received
	closing  chan struct{}
	wg       sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

// maxClients is how many clients an Upstream can tell apart.
const maxClients = 4096

// NewUpstream starts an Upstream on a free port of the loopback address. It must be
// closed.
func NewUpstream() (*Upstream, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &Upstream{listener: l, closing: make(chan struct{}), conns: map[net.Conn]bool{}}
	for range maxClients {
		u.gates = append(u.gates, make(chan struct{}, 1))
	}
	u.wg.Go(u.accept)
	return u, nil
}

// Addr is the Upstream's host and port.
func (u *Upstream) Addr() string { return u.listener.Addr().String() }

// Close ends the Upstream and its connections.
func (u *Upstream) Close() {
	close(u.closing)
	_ = u.listener.Close()
	u.mu.Lock()
	for c := range u.conns {
		_ = c.Close()
	}
	u.mu.Unlock()
	u.wg.Wait()
}

// serve makes the Upstream answer as c says from now on.
func (u *Upstream) serve(c Case) *answer {
	a := c.answer()
	u.paced.Store(c.Paced)
	u.answer.Store(a)
	return a
}

func (u *Upstream) accept() {
	for {
		conn, err := u.listener.Accept()
		if err != nil {
			return
		}
		u.mu.Lock()
		u.conns[conn] = true
		u.mu.Unlock()
		u.wg.Go(func() {
			_ = u.converse(conn)
			_ = conn.Close()
			u.mu.Lock()
			delete(u.conns, conn)
			u.mu.Unlock()
		})
	}
}

var errClosing = errors.New("the upstream is closing")

// converse answers the requests on conn until it ends.
func (u *Upstream) converse(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 16<<10)
	for {
		client, err := u.read(r)
		if err != nil {
			return err
		}
		a := u.answer.Load()
		if _, err := conn.Write(a.head); err != nil {
			return err
		}
		for i, piece := range a.pieces {
			if i > 0 && u.paced.Load() {
				select {
				case <-u.gates[client]:
				case <-u.closing:
					return errClosing
				}
			}
			if _, err := conn.Write(piece); err != nil {
				return err
			}
		}
	}
}

// read reads a request and returns its client.
func (u *Upstream) read(r *bufio.Reader) (client int, err error) {
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		if len(line) == 0 {
			break
		}
		if n, ok := number(line, "Content-Length: "); ok {
			length = n
		} else if n, ok := number(line, clientField); ok {
			client = n
		}
	}
	if length < 0 || client >= len(u.gates) {
		return 0, fmt.Errorf("a request of %d bytes from client %d", length, client)
	}
	_, err = r.Discard(length)
	return client, err
}

// number reads the value of a header line with that name and colon.
func number(line []byte, name string) (n int, ok bool) {
	if len(line) < len(name) || string(line[:len(name)]) != name {
		return 0, false
	}
	n, err := strconv.Atoi(string(line[len(name):]))
	return n, err == nil
}
