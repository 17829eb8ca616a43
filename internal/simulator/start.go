package simulator

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Start starts a well-behaved provider with a port of its own on the loopback
// interface.
func Start() (baseURL string, stop func(), err error) { return New(Options{}).Start() }

// Start serves s at a free port of 127.0.0.1, over HTTP/1.1 and HTTP/2 in the clear.
// baseURL ends in /v1, which is OpenAI's; the other APIs have their places at the same
// address. stop ends all answers and returns when nothing runs any more; it
// may be called more than once.
func (s *Server) Start() (baseURL string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return "http://" + l.Addr().String() + "/v1", s.serve(l), nil
}

// serve serves s on l until the returned function is called.
func (s *Server) serve(l net.Listener) (stop func()) {
	var running sync.RWMutex // read-locked by each request
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		Protocols:         new(http.Protocols),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.RLock()
			defer running.RUnlock()
			if ctx.Err() != nil {
				panic(http.ErrAbortHandler)
			}
			s.ServeHTTP(w, r)
		}),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	var serving sync.WaitGroup
	serving.Go(func() {
		// It returns when the listener is closed, and has nothing else to say.
		_ = server.Serve(l)
	})
	return sync.OnceFunc(func() {
		cancel()
		_ = server.Close()
		serving.Wait()
		running.Lock()
		defer running.Unlock()
	})
}
