package simulator

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// send gives rep to the client in the form that c's script wants. After an error the
// connection must be aborted.
func (c *call) send(w http.ResponseWriter, rep reply) error {
	s := &c.script
	if err := s.BeforeHeader.pass(c.Context(), 0); err != nil {
		return err
	}
	if rep.upgrade != nil {
		return rep.upgrade(w)
	}
	if s.JSONBytes > 0 {
		rep.pad(s.JSONBytes)
	}
	c.setHeader(w.Header(), rep)
	if s.CloseDelimited {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			return c.sendUntilClose(conn, w.Header(), rep)
		}
		// HTTP/2 has no such bodies.
	}
	w.WriteHeader(rep.status)
	o := newOut(w, http.NewResponseController(w).Flush, c)
	if rep.events != nil || s.BeforeBody != nil || s.CutBytes != nil {
		if err := o.flush(); err != nil {
			return err
		}
	}
	sum, err := c.sendBody(c.Context(), o, rep)
	if err != nil {
		return err
	}
	if s.Trailers {
		w.Header().Set("X-Sim-Bytes", strconv.FormatInt(sum.n, 10))
		w.Header().Set("X-Sim-Sha256", sum.hex())
	}
	return nil
}

// setHeader fills h.
func (c *call) setHeader(h http.Header, rep reply) {
	s := &c.script
	c.setAPIHeader(h)
	for name, values := range rep.header {
		h[name] = values
	}
	s.setCookies(h)
	if s.HopByHop {
		h.Set("Connection", "keep-alive, X-Sim-Hop")
		h.Set("X-Sim-Hop", "must not travel on")
		h.Set("Keep-Alive", "timeout=5, max=100")
		h.Set("Proxy-Connection", "keep-alive")
		h.Set("Proxy-Authenticate", "Basic realm=simulated")
	}
	if s.Trailers {
		h.Add("Trailer", "X-Sim-Bytes")
		h.Add("Trailer", "X-Sim-Sha256")
	}
	if s.Gzip {
		h.Set("Content-Encoding", "gzip")
	}
	if rep.events == nil && !s.Gzip && !s.Trailers && !s.CloseDelimited {
		h.Set("Content-Length", strconv.FormatInt(rep.size, 10))
	}
}

// setCookies adds two cookies to h, if they are wanted.
func (s *Script) setCookies(h http.Header) {
	if s.Cookies {
		h.Add("Set-Cookie", "__cf_bm=simulated; Path=/; HttpOnly; Secure")
		h.Add("Set-Cookie", "_cfuvid=simulated; Path=/; HttpOnly; Secure")
	}
}

// sendUntilClose sends rep over conn, whose end is the end of the body, and closes it.
func (c *call) sendUntilClose(conn net.Conn, h http.Header, rep reply) error {
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer conn.Close()
	// Nobody else notices any more that the client leaves.
	wg.Go(func() {
		_, _ = io.Copy(io.Discard, conn)
		if ctx.Err() == nil {
			c.departed()
		}
		cancel()
	})
	var head strings.Builder
	head.WriteString("HTTP/1.1 " + strconv.Itoa(rep.status) + " " + http.StatusText(rep.status) + "\r\n")
	h.Set("Connection", "close")
	h.Del("Trailer")
	if err := h.Write(&head); err != nil {
		return err
	}
	head.WriteString("\r\n")
	if _, err := io.WriteString(conn, head.String()); err != nil {
		c.departed()
		return err
	}
	_, err := c.sendBody(ctx, newOut(conn, func() error { return nil }, c), rep)
	cancel()
	if err == errCut {
		return nil
	}
	return err
}

// checksum is what the trailers say of a body.
type checksum struct {
	n   int64
	sum [sha256.Size]byte
}

func (s *checksum) hex() string { return hex.EncodeToString(s.sum[:]) }

// sendBody writes the body of rep to o.
func (c *call) sendBody(ctx context.Context, o *out, rep reply) (checksum, error) {
	s := &c.script
	if err := s.BeforeBody.pass(ctx, 0); err != nil {
		return checksum{}, err
	}
	if err := o.begin(); err != nil {
		return checksum{}, err
	}
	b := &bodyWriter{ctx: ctx, script: s, out: o, dst: o, hash: sha256.New()}
	if s.Gzip {
		b.gzip = gzip.NewWriter(o)
		b.dst = b.gzip
	}
	var err error
	if rep.events != nil {
		err = b.events(rep.events, rep.framing)
	} else {
		err = b.copy(rep.body, rep.size)
	}
	if err != nil {
		return checksum{}, err
	}
	if b.gzip != nil {
		if err := b.gzip.Close(); err != nil {
			return checksum{}, err
		}
	}
	return checksum{b.n, [sha256.Size]byte(b.hash.Sum(nil))}, nil
}
