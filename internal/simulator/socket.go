package simulator

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// closeGrace is how long a client may take to answer a close frame, and to take what
// comes before it.
const closeGrace = time.Second

// socket is one WebSocket: what carries the messages of a session.
type socket struct {
	entry   *connection
	session *session
	conn    *websocket.Conn
	netConn *peerConn // below conn
	endings chan ending
}

// ending is how the server ends a WebSocket.
type ending struct {
	code   int // of the close frame; 0: there is none
	reason string
	event  []byte // that is sent before it; nil: none
}

// outgoing is one message to the client.
type outgoing struct {
	data   []byte
	binary bool
	piece  int  // fragments of so many bytes; 0: one
	open   bool // it is never finished
}

// openSocket answers GET /responses: with a WebSocket, if that is asked for.
func (s *Server) openSocket(c *call) (reply, error) {
	if !hasToken(c.Header, "Connection", "upgrade") || !hasToken(c.Header, "Upgrade", "websocket") {
		f := badRequest("method_not_supported", "", "%s is not allowed on %s.", c.Method, c.URL.Path)
		f.status, f.allow = http.StatusMethodNotAllowed, http.MethodPost
		return reply{}, f
	}
	return reply{upgrade: func(w http.ResponseWriter) error { return s.upgrade(w, c) }}, nil
}

// upgrade makes c a WebSocket and returns when that is over.
func (s *Server) upgrade(w http.ResponseWriter, c *call) error {
	so := &socket{endings: make(chan ending, 1)}
	so.entry = s.sockets.enter(so, c)
	if so.entry == nil {
		c.script.BeforeHeader = nil // has been passed
		return c.send(w, c.fault(scripted(http.StatusServiceUnavailable)))
	}
	c.setAPIHeader(w.Header())
	c.script.setCookies(w.Header())
	capture := &hijackCapture{ResponseWriter: w}
	mode := websocket.CompressionDisabled
	if s.options.Deflate {
		mode = websocket.CompressionContextTakeover
	}
	conn, err := websocket.Accept(capture, c.Request, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // of Origin: no browser knows the key
		CompressionMode:    mode,
		OnPingReceived: func(context.Context, []byte) bool {
			so.entry.change(func(record *Connection) { record.Pings++ })
			return true
		},
	})
	if err != nil {
		s.sockets.withdraw(so)
		return nil // it has been answered
	}
	defer s.sockets.leave(so)
	conn.SetReadLimit(s.options.MaxMessage)
	so.conn, so.netConn = conn, capture.conn
	so.session = newSession(s, c, so.entry, so)
	so.run(c, &s.options)
	return nil
}

// hijackCapture keeps the connection that is taken over.
type hijackCapture struct {
	http.ResponseWriter
	conn *peerConn // nil: none was taken over
}

func (h *hijackCapture) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn = &peerConn{Conn: conn}
	return h.conn, rw, nil
}

// peerConn knows whether its end has been seen: the library takes the end of a
// connection for the end of the message that was under way.
type peerConn struct {
	net.Conn
	over bool // written and read by who reads messages
}

func (c *peerConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.over = c.over || err != nil
	return n, err
}

// run serves the socket until it ends, whoever ends it.
func (so *socket) run(c *call, o *Options) {
	// The context of a request that has been taken over ends with its server, or here.
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	lifetime := o.Lifetime
	if lifetime == 0 {
		lifetime = so.session.manner.lifetime()
	}
	timer := time.NewTimer(lifetime)
	defer timer.Stop()

	read := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { read <- so.readAll(ctx) })
	if o.PingEvery > 0 {
		running.Go(func() { so.ping(ctx, o.PingEvery) })
	}
	select {
	case err := <-read:
		so.ended(c, err)
	case e := <-so.endings:
		so.close(e, cancel)
	case <-timer.C:
		so.close(so.session.expiry(), cancel)
	case <-ctx.Done():
		so.close(ending{}, cancel)
	}
	cancel()
	_ = so.conn.CloseNow() // most often it is closed already
	so.session.stop()
	running.Wait()
}

// ended notes how the client ended the socket, or lost it.
func (so *socket) ended(c *call, err error) {
	code := int(websocket.CloseStatus(err))
	switch {
	case code > 0:
		so.entry.change(func(record *Connection) { record.ClientCode = code })
	case errors.Is(err, websocket.ErrMessageTooBig):
		so.entry.change(func(record *Connection) { record.ServerCode = int(websocket.StatusMessageTooBig) })
		// The close frame has been sent. What is unread would make the client lose it.
		_ = so.netConn.SetReadDeadline(time.Now().Add(closeGrace))
		_, _ = io.Copy(io.Discard, so.netConn.Conn)
	default:
		c.departed()
	}
}

// close ends the socket as e says.
func (so *socket) close(e ending, cancel context.CancelFunc) {
	if e.code == 0 {
		_ = so.netConn.Close()
		return
	}
	so.entry.change(func(record *Connection) { record.ServerCode = e.code })
	force := time.AfterFunc(closeGrace, func() { _ = so.netConn.Close() })
	defer force.Stop()
	cancel()
	so.session.stop() // so that nothing comes after the event
	if e.event != nil {
		_ = so.conn.Write(context.Background(), websocket.MessageText, e.event)
	}
	_ = so.conn.Close(websocket.StatusCode(e.code), e.reason)
}

// end asks for an end. The first one who asks has it his way.
func (so *socket) end(e ending) {
	select {
	case so.endings <- e:
	default:
	}
}

// readAll hands the messages that arrive to the session.
func (so *socket) readAll(ctx context.Context) error {
	for {
		// The end of a context would end the connection without a word.
		kind, data, err := so.conn.Read(context.Background())
		if err != nil {
			return err
		}
		if so.netConn.over {
			return io.ErrUnexpectedEOF
		}
		so.entry.arrive(kind == websocket.MessageBinary, data)
		switch {
		case kind == websocket.MessageBinary:
			so.end(ending{code: int(websocket.StatusUnsupportedData), reason: "text messages only"})
		case !utf8.Valid(data):
			so.end(ending{code: int(websocket.StatusInvalidFramePayloadData), reason: "not UTF-8"})
		default:
			so.session.handle(ctx, data)
		}
	}
}

// ping sends pings, and ends the socket if one is not answered before the next is due.
func (so *socket) ping(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		pong, cancel := context.WithTimeout(context.WithoutCancel(ctx), every)
		err := so.conn.Ping(pong)
		cancel()
		if err != nil {
			so.end(ending{})
			return
		}
		so.entry.change(func(record *Connection) { record.Pongs++ })
	}
}

// send sends m. It may be called by many goroutines at once, and blocks as long as the
// client takes nothing and the socket is open.
func (so *socket) send(m outgoing) error {
	err := so.write(m)
	if err != nil {
		so.end(ending{})
	}
	return err
}

func (so *socket) write(m outgoing) error {
	ctx := context.Background()
	kind := websocket.MessageText
	if m.binary {
		kind = websocket.MessageBinary
	}
	if m.piece == 0 && !m.open {
		return so.conn.Write(ctx, kind, m.data)
	}
	w, err := so.conn.Writer(ctx, kind)
	if err != nil {
		return err
	}
	piece := m.piece
	if piece == 0 {
		piece = max(1, len(m.data))
	}
	for fragment := range slices.Chunk(m.data, piece) {
		if _, err := w.Write(fragment); err != nil {
			return err
		}
	}
	if !m.open {
		return w.Close()
	}
	// The library flushes with the last frame of a message, or with a control frame.
	pong, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	return so.conn.Ping(pong)
}

// hasToken reports whether the list field called name has token, in any case.
func hasToken(h http.Header, name, token string) bool {
	for one := range strings.SplitSeq(joined(h, name), ",") {
		if strings.EqualFold(strings.TrimSpace(one), token) {
			return true
		}
	}
	return false
}
