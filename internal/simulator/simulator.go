package simulator

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// Options says what a [Server] is like. The zero value takes any key, serves
// [DefaultModels] each API and behaves.
type Options struct {
	// APIKey must come the way the API asks for it: as a bearer token, or in x-api-key,
	// api-key or x-goog-api-key. Empty: no key is asked for, except by Bedrock, which
	// wants some Authorization.
	APIKey string
	// AWS are the credentials with which requests may be signed.
	AWS AWSCredentials
	// NoQueryKey refuses Gemini's ?key=, with 400, so that a key in a URL is seen.
	NoQueryKey bool
	// Models are the models that every API has. Nil: DefaultModels the API.
	Models []Model
	// AnyModel serves every other model too, under the name it is asked for.
	AnyModel bool
	// BasePaths are the paths below which OpenAI's API is served. Nil: /v1, /openai/v1,
	// /api/v1, /inference/v1, and none at all.
	BasePaths []string
	// Mounts are the paths below which the APIs are served. Nil: DefaultMounts.
	Mounts []Mount
	// Script says how the answer to a request misbehaves; the header X-Simulate adds to
	// it. It is called by many goroutines at once. Nil: only the header counts.
	Script func(*http.Request) Script

	// Manner is whose WebSocket mode the paths of OpenAI have; Azure's have Azure's.
	Manner Manner
	// TurnScript says how a turn on a WebSocket misbehaves; the words of metadata.simulate
	// in its response.create add to it. frame is the message, of an automatic successor the
	// one that would have made it; turn counts the connection's, from 1. It is called by
	// many goroutines at once. Nil: turns misbehave as the handshake's script has it, which
	// otherwise concerns the handshake alone.
	TurnScript func(frame []byte, turn int) Script
	// StrictWebSocket refuses turns that have stream, stream_options or background, which
	// nobody may send; without it, only background: true is refused.
	StrictWebSocket bool
	// Lifetime is when a WebSocket is closed, whatever goes on; 0 means that of the Manner.
	Lifetime time.Duration
	// PingEvery is how often a WebSocket is pinged, and how long a pong may take. 0: never.
	PingEvery time.Duration
	// Deflate accepts permessage-deflate where a client offers it.
	Deflate bool

	MaxBody    int64 // of a JSON request, in bytes; 0 means 64 MiB
	MaxUpload  int64 // of an upload, in bytes; 0 means 1 GiB
	MaxMessage int64 // on a WebSocket, in bytes, after decompression; 0 means 64 MiB

	KeepRequests int   // how many requests are remembered, and WebSockets, and of each messages and turns; 0 means 1024
	KeepBytes    int64 // how many bytes of all bodies, and of all messages, at most a quarter for one; 0 means 64 MiB
}

// Server is the simulated provider. Any number of goroutines may use it.
type Server struct {
	options   Options
	basePaths []string
	mounts    []Mount // the longest path first
	recorder  recorder
	responses responseStore
	files     fileStore
	sockets   sockets
}

// New returns a provider that is like o.
func New(o Options) *Server {
	if o.MaxBody == 0 {
		o.MaxBody = 64 << 20
	}
	if o.MaxUpload == 0 {
		o.MaxUpload = 1 << 30
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = 64 << 20
	}
	if o.KeepRequests == 0 {
		o.KeepRequests = 1024
	}
	if o.KeepBytes == 0 {
		o.KeepBytes = 64 << 20
	}
	if o.Mounts == nil {
		o.Mounts = DefaultMounts()
	}
	s := &Server{options: o, basePaths: o.BasePaths, mounts: sorted(o.Mounts)}
	if s.basePaths == nil {
		s.basePaths = []string{"/v1", "/openai/v1", "/api/v1", "/inference/v1", ""}
	}
	s.recorder.keep, s.recorder.keepBytes = o.KeepRequests, o.KeepBytes
	s.sockets.keep, s.sockets.keepBytes = o.KeepRequests, o.KeepBytes
	return s
}

// call is one request on its way to an answer.
type call struct {
	*http.Request
	reader    io.Reader // the request's body, recorded and bounded
	script    Script
	api       API
	errors    API               // whose shape an error has; api unless a handler decides
	base      string            // the path of the mount
	rest      string            // the path below it, of Bedrock percent-encoded
	operation string            // the pattern of the route, without the base path
	params    map[string]string // what the pattern's segments in braces stand for
	signed    bool              // with a signature that is to be verified
	body      []byte            // of a JSON request
	digest    digest
	departed  func() // notes that the client has left
}

// ServeHTTP answers r.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	entry := s.recorder.begin(r)
	// While the handler runs, only the client's departure ends its context.
	defer func() { entry.finish(r.Context().Err() != nil) }()
	c := &call{
		Request:  r,
		digest:   digestOf(r.Method+" "+r.RequestURI, nil),
		departed: entry.depart,
	}
	c.api, c.base, c.rest = s.locate(r)
	c.errors = c.api
	rep, err := s.answer(w, c, entry)
	if f, ok := errors.AsType[*fault](err); ok {
		rep, err = c.fault(f), nil
	}
	if err != nil {
		c.departed() // it did not finish its request
		panic(http.ErrAbortHandler)
	}
	if err := c.send(w, rep); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// answer finds out what to say to c. An error that is no *fault ends the connection.
func (s *Server) answer(w http.ResponseWriter, c *call, entry *entry) (reply, error) {
	c.reader = entry.tee(http.MaxBytesReader(w, c.Body, s.options.MaxUpload), c.Request)
	if s.options.Script != nil {
		c.script = s.options.Script(c.Request)
	}
	script, err := ParseScript(joined(c.Header, "X-Simulate"), c.script)
	if err != nil {
		err = badRequest("invalid_value", "X-Simulate", "X-Simulate: %v", err)
	}
	c.script = script

	var route *route
	if err == nil && !script.refuses() {
		route, err = s.admit(c)
	}
	if err == nil && route != nil && route.upload {
		return route.serve(s, c)
	}
	if script.Early {
		// Else the server would read on before it answers. HTTP/2 never does.
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Connection", "close")
	} else if readErr := s.readBody(c, route != nil); readErr != nil {
		return reply{}, readErr
	}
	switch {
	case err != nil:
		return reply{}, err
	case route == nil:
		return c.refusal(), nil
	}
	if err := s.verify(c); err != nil {
		return reply{}, err
	}
	return route.serve(s, c)
}

// admit finds c's route, if the caller may take it.
func (s *Server) admit(c *call) (*route, error) {
	route, err := s.route(c)
	if err != nil {
		return nil, err
	}
	if err := s.authorize(c); err != nil {
		return nil, err
	}
	if coding := c.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		f := badRequest("unsupported_content_encoding", "", "Content-Encoding %q is not supported.", coding)
		f.status = http.StatusUnsupportedMediaType
		return nil, f
	}
	return route, nil
}

// readBody reads c's body to its end, and keeps it if it is wanted.
func (s *Server) readBody(c *call, wanted bool) error {
	var err error
	if wanted {
		c.body, err = io.ReadAll(io.LimitReader(c.reader, s.options.MaxBody+1))
		if int64(len(c.body)) > s.options.MaxBody {
			err = &http.MaxBytesError{Limit: s.options.MaxBody}
		}
		if len(c.body) > 0 {
			c.digest = digestOf(c.operation+c.params["model"], c.body)
		}
	} else {
		_, err = io.Copy(io.Discard, c.reader)
	}
	return bodyError(err)
}

// bodyError returns the fault of a body that is too large, and other errors as they are:
// the client did not finish its request.
func bodyError(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		f := badRequest("", "", "The request body is larger than %d bytes.", tooLarge.Limit)
		f.status = http.StatusRequestEntityTooLarge
		return f
	}
	return err
}

// Requests returns what has arrived since the last Reset, the oldest first. Of more
// than KeepRequests or KeepBytes the oldest are forgotten.
func (s *Server) Requests() []Request { return s.recorder.snapshot() }

// Reset forgets all requests and WebSockets, those in progress included.
func (s *Server) Reset() {
	s.recorder.reset()
	s.sockets.reset()
}
