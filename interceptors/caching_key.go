package interceptors

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
)

const (
	// longestKey is what OpenAI takes as a prompt_cache_key, in bytes.
	longestKey = 64
	// rememberedKeys bounds the responses whose conversation is remembered, and keyLife for
	// how long: no provider keeps a cache for more than a day.
	rememberedKeys = 1 << 14
	keyLife        = 24 * time.Hour
)

// key returns the name of x's conversation, "" where there is none.
func (c *PromptCaching) key(x *llmproxy.Exchange, configured string) string {
	tenant := c.namespace(x)
	if key := x.Header.Get("X-Cache-Key"); key != "" {
		return scoped(tenant, key)
	}
	if configured != "" {
		return scoped(tenant, configured)
	}
	key := c.derived(x, tenant)
	if key == "" {
		return ""
	}
	return scoped(tenant, key)
}

func (c *PromptCaching) namespace(x *llmproxy.Exchange) string {
	if c.Namespace != nil {
		return c.Namespace(x)
	}
	return x.Caller.Key
}

// scoped returns key in the namespace of tenant, as a value that fits into a header field
// and a prompt_cache_key. Different pairs give different values.
func scoped(tenant, key string) string {
	value := key
	if tenant != "" {
		value = tenant + ":" + key
	}
	plain := len(value) <= longestKey && !strings.Contains(tenant, ":") &&
		(tenant != "" || !strings.Contains(key, ":"))
	for i := 0; plain && i < len(value); i++ {
		plain = ' ' < value[i] && value[i] <= '~'
	}
	if plain {
		return value
	}
	d := newDigest()
	d.add([]byte(tenant))
	d.add([]byte(key))
	return "h:" + d.hex(sha256.Size/2)
}

// derived returns a key for the conversation that x is a turn of.
func (c *PromptCaching) derived(x *llmproxy.Exchange, tenant string) string {
	responses := x.Operation.API == llmproxy.APIResponses
	prefix := prefixOf(x)
	key := ""
	if before := x.Meta.PreviousResponseID; responses && before != "" {
		if key = c.recall(tenant, before); key == "" {
			prefix.turns = nil // these are not the first ones
		}
	}
	if key == "" {
		d, _ := prefix.digest()
		if d == nil {
			return ""
		}
		key = d.hex(16)
	}
	if responses {
		x.OnSettled(func(r *llmproxy.Record) { c.remember(tenant, r.ResponseID, key) })
	}
	return key
}

func (c *PromptCaching) recall(tenant, response string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		return ""
	}
	key, _ := c.keys.get(scoped(tenant, response), time.Now())
	return key
}

func (c *PromptCaching) remember(tenant, response, key string) {
	if response == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		c.keys = newRecent[string, string](rememberedKeys, keyLife)
	}
	c.keys.put(scoped(tenant, response), key, time.Now())
}

// digest is a hash of parts, each with its length, so that they cannot run into each other.
type digest struct{ sum [sha256.Size]byte }

func newDigest() *digest { return &digest{} }

func (d *digest) add(part []byte) {
	h := sha256.New()
	_, _ = h.Write(d.sum[:])
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(part)))
	_, _ = h.Write(length[:])
	_, _ = h.Write(part)
	h.Sum(d.sum[:0])
}

// hex returns the first n bytes.
func (d *digest) hex(n int) string { return hex.EncodeToString(d.sum[:n]) }

// cloned returns a copy of h to set fields in.
func cloned(h http.Header) http.Header {
	if h == nil {
		return http.Header{}
	}
	return maps.Clone(h)
}
