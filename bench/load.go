package bench

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Load is the clients of one case, each on a connection of its own. It serves one
// goroutine at a time.
type Load struct {
	Case    Case
	clients []*client
}

// NewLoad connects the clients of c to target, a host and port, behind which u answers.
// withholds says that the target keeps usage from clients that did not ask for it.
func NewLoad(c Case, u *Upstream, target string, withholds bool) (*Load, error) {
	if c.Clients > len(u.gates) {
		return nil, fmt.Errorf("case %s has more than %d clients", c.Name, len(u.gates))
	}
	l := &Load{Case: c}
	a := u.serve(c)
	length := a.length
	if withholds {
		length -= c.withheld
	}
	for id := range c.Clients {
		conn, err := net.Dial("tcp", target)
		if err != nil {
			l.Close()
			return nil, err
		}
		cl := &client{
			conn: conn, r: bufio.NewReaderSize(conn, 16<<10), request: c.request(target, id),
			answer: a, length: length,
		}
		if c.Paced {
			cl.gate = u.gates[id]
		}
		l.clients = append(l.clients, cl)
	}
	return l, nil
}

// Close closes the connections.
func (l *Load) Close() {
	for _, c := range l.clients {
		_ = c.conn.Close()
	}
}

// Run makes n calls.
func (l *Load) Run(n int) error {
	var begun atomic.Int64
	_, err := l.run(func() bool { return begun.Add(1) <= int64(n) })
	return err
}

// RunFor makes calls for about d, and returns how many.
func (l *Load) RunFor(d time.Duration) (n int, err error) {
	var over atomic.Bool
	defer time.AfterFunc(d, func() { over.Store(true) }).Stop()
	return l.run(func() bool { return !over.Load() })
}

// run lets each client call while more says so.
func (l *Load) run(more func() bool) (n int, err error) {
	var (
		wg    sync.WaitGroup
		calls atomic.Int64
		errs  = make([]error, len(l.clients))
	)
	for i, c := range l.clients {
		wg.Go(func() {
			for more() {
				if err := c.call(); err != nil {
					errs[i] = fmt.Errorf("%s, client %d: %w", l.Case.Name, i, err)
					return
				}
				calls.Add(1)
			}
		})
	}
	wg.Wait()
	return int(calls.Load()), errors.Join(errs...)
}

// Open begins a stream on every client and returns when each has its first event. Finish
// must follow.
func (l *Load) Open() error {
	return l.each(func(c *client) error {
		c.gate = nil // for now
		if err := c.hello(); err != nil {
			return err
		}
		if _, err := c.head(); err != nil {
			return err
		}
		for c.got < c.answer.marks[0] {
			if _, err := c.chunk(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Finish lets the streams that Open began end, u being the Upstream that sends them.
func (l *Load) Finish(u *Upstream) error {
	for id := range l.clients {
		u.gates[id] <- struct{}{}
	}
	return l.each(func(c *client) error { return c.body(-1) })
}

// each calls f for one client after the other.
func (l *Load) each(f func(*client) error) error {
	for i, c := range l.clients {
		if err := f(c); err != nil {
			return fmt.Errorf("%s, client %d: %w", l.Case.Name, i, err)
		}
	}
	return nil
}
