package llmproxy

import "time"

// Limits bounds what one exchange, and all of them together, may take. A zero field
// means its default; a negative one means no limit.
type Limits struct {
	RequestBody int64 // bytes of a JSON request body, decoded; 64 MiB
	Upload      int64 // bytes of an opaque request body; 1 GiB
	Header      int   // bytes of a request's header fields; 64 KiB
	Frame       int   // bytes of one event, or one JSON answer, that the meter reads; 64 MiB
	Concurrent  int   // exchanges at a time; 10,000

	ResponseHeaderTimeout time.Duration // from the request to the provider's status; 15 min
	StreamIdleTimeout     time.Duration // between two pieces of an answer; 10 min
	ClientIdleTimeout     time.Duration // for a client to send, or to take, the next piece; 2 min

	WebSocket WebSocketLimits
}

// WebSocketLimits bounds WebSocket connections. A zero field means its default; a negative
// one means no limit.
type WebSocketLimits struct {
	Message int64 // bytes of one message, either way; 64 MiB
	Turns   int   // of one connection, forwarded and not ended; 256
	Total   int   // connections at a time; 10,000
	PerKey  int   // connections at a time of one gateway key; 100. Without keys only Total counts

	FirstMessage time.Duration // for a client to send its first create; 1 min
	Idle         time.Duration // without a message either way while no turn runs; 10 min
	Lifetime     time.Duration // of a connection; what runs then has a minute to finish; 60 min
	Ping         time.Duration // between two pings, to either side; 25 s
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// withDefaults returns l with its zero fields set.
func (l Limits) withDefaults() Limits {
	def(&l.RequestBody, 64*mib)
	def(&l.Upload, gib)
	def(&l.Header, 64*kib)
	// The terminal event of Responses repeats the whole answer, images included.
	def(&l.Frame, 64*mib)
	def(&l.Concurrent, 10_000)
	def(&l.ResponseHeaderTimeout, 15*time.Minute)
	def(&l.StreamIdleTimeout, 10*time.Minute)
	def(&l.ClientIdleTimeout, 2*time.Minute)
	ws := &l.WebSocket
	// Clients send images in messages, and providers the whole answer in the last one.
	def(&ws.Message, 64*mib)
	def(&ws.Turns, 256)
	def(&ws.Total, 10_000)
	def(&ws.PerKey, 100)
	def(&ws.FirstMessage, time.Minute)
	def(&ws.Idle, 10*time.Minute)
	def(&ws.Lifetime, 60*time.Minute) // as long as OpenAI's
	def(&ws.Ping, 25*time.Second)     // under what balancers take for idle
	return l
}

func def[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
