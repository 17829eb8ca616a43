package interceptors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"strings"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// Affinity says how conversations stay with the target that has answered them before: its
// prompt cache holds them, and nobody else can read its encrypted reasoning. Its zero
// value is ready.
type Affinity struct {
	// Headers are the request fields that name a conversation, the first that is there.
	// Nil: those of coding agents, such as Session-Id and X-Session-Affinity. Without any,
	// the member prompt_cache_key does, else what stays the same in all turns: system
	// prompt, tools, the first message of the user. A name is that of one gateway key's.
	Headers []string
	// Remember is how many conversations and responses are remembered; 0 means 65,536.
	Remember int
	// For is how long; 0 means an hour.
	For time.Duration
}

// sessionHeaders name a conversation in the requests of coding agents.
var sessionHeaders = [...]string{
	"X-Session-Affinity", "Session-Id", "Session_id", "X-Session-Id", "Thread-Id",
	"Conversation_id", "X-Claude-Code-Session-Id", "X-Grok-Conv-Id",
}

// thread is the name of a conversation or of a response, hashed: clients choose how long
// those are.
type thread [16]byte

// none is no conversation.
var none thread

// threadOf returns the thread that is known by name. kind keeps names of different kinds
// apart, caller those of different gateway keys.
func threadOf(kind byte, caller, name string) (t thread) {
	d := newDigest()
	d.add([]byte{kind})
	d.add([]byte(caller))
	d.add([]byte(name))
	copy(t[:], d.sum[:])
	return t
}

// responseThread is that of a response's continuations. It is the same for all keys: those
// that share responses go on with each other's.
func responseThread(id string) thread {
	if id == "" {
		return none
	}
	return threadOf('r', "", id)
}

// talk is the conversation that a request belongs to.
type talk struct {
	thread
	// opening says that it begins here: that another one with the same beginning has been
	// answered somewhere does not matter.
	opening bool
}

// conversation returns what x says of the conversation it belongs to.
func (a *Affinity) conversation(x *llmproxy.Exchange) talk {
	names := a.Headers
	if names == nil {
		names = sessionHeaders[:]
	}
	for _, name := range names {
		if v := x.Header.Get(name); v != "" {
			return talk{thread: threadOf('h', x.Caller.Key, v)}
		}
	}
	if x.Body == nil {
		return talk{}
	}
	if key, ok := wire.String(wire.Member(x.Body.Bytes(), "prompt_cache_key")); ok && key != "" {
		return talk{thread: threadOf('k', x.Caller.Key, key)}
	}
	if x.Meta.PreviousResponseID != "" || !converses(&x.Operation) {
		return talk{}
	}
	prefix := prefixOf(x)
	d, opening := prefix.digest()
	if d == nil {
		return talk{}
	}
	return talk{threadOf('p', x.Caller.Key, string(d.sum[:])), opening}
}

// draws returns a function that draws numbers for t, the same each time and in each
// gateway.
func (t thread) draws() func(n int) int {
	state := binary.BigEndian.Uint64(t[:])
	return func(n int) int {
		drawn := int(state % uint64(n))
		state = state*6364136223846793005 + 1442695040888963407 // Knuth's MMIX generator
		state ^= state >> 29
		return drawn
	}
}

// origins remembers which target has answered what.
type origins struct {
	mu   sync.Mutex // guards seen
	seen *recent[thread, origin]
}

// origin is a target by its names.
type origin struct{ provider, model string }

func newOrigins(a *Affinity) *origins {
	return &origins{seen: newRecent[thread, origin](cmp.Or(a.Remember, 1<<16), cmp.Or(a.For, time.Hour))}
}

func (o *origins) of(t thread, now time.Time) (origin, bool) {
	if t == none {
		return origin{}, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen.get(t, now)
}

// learn remembers the target that r names for its response and for the conversation t.
func (o *origins) learn(r *llmproxy.Record, t thread, now time.Time) {
	if r.Status >= 400 && r.ResponseID == "" || r.Provider == "" {
		return
	}
	from := origin{r.Provider, r.ModelAsked}
	response := responseThread(r.ResponseID)
	o.mu.Lock()
	defer o.mu.Unlock()
	if response != none {
		o.seen.put(response, from, now)
	}
	if t != none {
		o.seen.put(t, from, now)
	}
}

// encrypted reports whether x has encrypted reasoning, which only the target can read that
// wrote it.
func encrypted(x *llmproxy.Exchange) bool {
	// The name of a member is one wherever it stands: inside a text, its quotes would be
	// escaped. As a wish in include, it has a prefix.
	return x.Body != nil && bytes.Contains(x.Body.Bytes(), []byte(`"encrypted_content"`))
}

// responseOf returns the id of the stored response that a path below Responses is about,
// "" if there is none.
func responseOf(op *llmproxy.Operation) string {
	rest, ok := strings.CutPrefix(op.Path, "/responses/")
	if !ok || op.API != llmproxy.APIResponses || op.JSON {
		return ""
	}
	id, _, _ := strings.Cut(rest, "/")
	return id
}
