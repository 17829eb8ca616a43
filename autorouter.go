package llmproxy

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// AutoRouter routes LLM requests to providers. It is an [http.Handler], safe for
// concurrent use.
type AutoRouter struct {
	registry     *Registry
	detector     ProviderDetector
	lookup       ModelProviderLookup
	fallback     string
	transport    http.RoundTripper
	interceptors []Interceptor
	recorder     Recorder
	settler      Settler // the recorder, if it is one
	billing      *BillingCalculator
	onBilling    func(*Record, *BillingResult)
	metering     bool
	disconnect   Disconnect
	limits       Limits
	logger       *slog.Logger
	decoders     map[string]Decoder
	upgrader     WSUpgrader
	dialer       WSDialer
	origins      []string
	onTurn       WSBillingCallback

	mu       sync.Mutex            // guards the following
	running  map[*run]struct{}     // the exchanges
	sessions map[*session]struct{} // the WebSockets
	perKey   map[string]int        // sessions by gateway key
	down     bool                  // Shutdown has been called
	closed   bool                  // the running exchanges must end
	idle     chan struct{}         // closed when down and nothing is running
	over     bool                  // idle is closed
}

// NewAutoRouter returns a router.
func NewAutoRouter(opts ...Option) *AutoRouter {
	a := &AutoRouter{
		registry: NewRegistry(), metering: true, limits: Limits{}.withDefaults(),
		decoders: map[string]Decoder{}, running: map[*run]struct{}{}, idle: make(chan struct{}),
		sessions: map[*session]struct{}{}, perKey: map[string]int{},
	}
	for _, o := range opts {
		o(a)
	}
	if a.transport == nil {
		a.transport = NewTransport()
	}
	a.settler, _ = a.recorder.(Settler)
	return a
}

// RegisterProvider adds p. It may be called while the router serves.
func (a *AutoRouter) RegisterProvider(p Provider) { a.registry.Register(p) }

// ServeHTTP serves one request. A provider's answer that breaks off after it has begun
// aborts the client's connection with [http.ErrAbortHandler], so that it cannot be
// taken for a whole one.
func (a *AutoRouter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.serve(w, r, nil) }

func (a *AutoRouter) serve(w http.ResponseWriter, r *http.Request, fixed Provider) {
	if r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		// Agents probe it.
		w.Header().Set("Content-Type", "application/json")
		w.Header()[headerRequestID] = []string{newID(time.Now())}
		newResponseSink(w, r, a.limits.ClientIdleTimeout).leaveBody()
		_, _ = w.Write([]byte("{\"object\":\"gateway\",\"name\":\"llmproxy\"}\n"))
		return
	}
	if a.upgrader != nil && upgrade(r.Header) {
		a.serveWebSocket(w, r, fixed)
		return
	}
	s := newResponseSink(w, r, a.limits.ClientIdleTimeout)
	defer s.release()
	e, err := a.do(r.Context(), r, s, fixed)
	switch {
	case err == nil:
	case s.begun(), err.Status == statusClientGone:
		panic(http.ErrAbortHandler)
	default:
		if !e.bodySeen {
			s.leaveBody()
		}
		e.announce(nil)
		writeError(w, e.x.Operation.API, err)
	}
}

// Forward runs r through the pipeline and returns the provider's answer, whole, with
// what the meter read. Answers of 4xx and 5xx are answers; the error is an *[Error]
// where the gateway refuses or fails. An answer larger than Limits.Frame is an error.
// The call is cancelled with ctx.
func (a *AutoRouter) Forward(ctx context.Context, r *http.Request) (*http.Response, ResponseMetadata, error) {
	return a.forward(ctx, r, nil)
}

func (a *AutoRouter) forward(ctx context.Context, r *http.Request, fixed Provider) (*http.Response, ResponseMetadata, error) {
	s := newBufferSink(int64(a.limits.Frame))
	e, err := a.do(ctx, r, s, fixed)
	if err == nil {
		return s.result(r), e.metadata(), nil
	}
	return nil, e.metadata(), err
}

// ForwardStreaming runs r through the pipeline and writes the answer to w as it
// arrives. When the gateway refuses or fails before the answer has begun, nothing has
// been written and the caller may answer with [WriteError]; after that, the answer is
// cut, and the caller should end the connection (panic with [http.ErrAbortHandler]).
// [Begun] tells the two apart.
func (a *AutoRouter) ForwardStreaming(ctx context.Context, w http.ResponseWriter, r *http.Request) (ResponseMetadata, error) {
	return a.forwardStreaming(ctx, w, r, nil)
}

func (a *AutoRouter) forwardStreaming(ctx context.Context, w http.ResponseWriter, r *http.Request, fixed Provider) (ResponseMetadata, error) {
	s := newResponseSink(w, r, a.limits.ClientIdleTimeout)
	defer s.release()
	e, err := a.do(ctx, r, s, fixed)
	switch {
	case err == nil:
		return e.metadata(), nil
	case s.begun():
		return e.metadata(), &cutError{err}
	}
	return e.metadata(), err
}

// cutError is the error of an answer that had begun.
type cutError struct{ err *Error }

func (e *cutError) Error() string { return e.err.Error() }
func (e *cutError) Unwrap() error { return e.err }

// Begun reports whether err, from ForwardStreaming, came after the answer had begun.
func Begun(err error) bool {
	_, ok := err.(*cutError) //nolint:errorlint // never wrapped
	return ok
}

// enter counts an exchange in.
func (a *AutoRouter) enter(e *run) *Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return shuttingDown()
	}
	if n := a.limits.Concurrent; n > 0 && len(a.running) >= n {
		return unavailable("too_many_exchanges", "the gateway is serving as many requests as it may", time.Second)
	}
	a.running[e] = struct{}{}
	return nil
}

// enterUnasked counts in an exchange that cannot be refused.
func (a *AutoRouter) enterUnasked(e *run) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running[e] = struct{}{}
}

// leave counts an exchange out.
func (a *AutoRouter) leave(e *run) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.running, e)
	a.settled()
}

// settled tells Shutdown when nothing runs any more; a.mu is held.
func (a *AutoRouter) settled() {
	if a.down && !a.over && len(a.running) == 0 && len(a.sessions) == 0 {
		a.over = true
		close(a.idle)
	}
}

// watch gives close the means to end what e does.
func (a *AutoRouter) watch(e *run, stop func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e.stop = stop
	if a.closed {
		stop()
	}
}

// close ends the running exchanges, and the WebSockets.
func (a *AutoRouter) close() {
	a.mu.Lock()
	a.closed = true
	for e := range a.running {
		if e.stop != nil {
			e.stop()
		}
	}
	open := slices.Collect(maps.Keys(a.sessions))
	a.mu.Unlock()
	for _, s := range open {
		s.force(errShutdown)
	}
}

// Shutdown refuses new exchanges with a 503 and waits for the running ones; WebSockets are
// closed with 1001 once no turn runs on them. When ctx ends first, it ends them, and returns ctx's error once they are settled. It may be
// called more than once.
func (a *AutoRouter) Shutdown(ctx context.Context) error {
	a.mu.Lock()
	a.down = true
	a.settled()
	open := slices.Collect(maps.Keys(a.sessions))
	a.mu.Unlock()
	for _, s := range open {
		s.closeAfterTurns(closing{code: WSCloseGoingAway})
	}
	select {
	case <-a.idle:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-a.idle: // both at once
		return nil
	default:
	}
	a.close()
	<-a.idle
	return ctx.Err()
}

// Running returns how many exchanges have not been settled yet, and how many WebSockets are
// open.
func (a *AutoRouter) Running() (exchanges, webSockets int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.running), len(a.sessions)
}

func (a *AutoRouter) log() *slog.Logger {
	if a.logger != nil {
		return a.logger
	}
	return slog.Default()
}
