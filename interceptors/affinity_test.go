package interceptors_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
)

// A response is gone on with where it is, and nowhere else.
func TestPoolsPreviousResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{{"status=500", "", "status=500"}, {"", "", "status=503"}}, nil)
		first := p.create("") // p0 is down
		if first.provider != "p1" || first.status != 200 {
			t.Fatalf("got %+v", first)
		}
		next := p.create(`,"previous_response_id":"` + first.id + `"`)
		if next.provider != "p1" || next.status != 200 {
			t.Errorf("the continuation went to %+v", next)
		}
		if third := p.create(`,"previous_response_id":"` + next.id + `"`); third.provider != "p1" || third.status != 503 {
			t.Errorf("the failed continuation went to %+v", third)
		}
		if other := p.create(""); other.provider != "p0" || other.status != 200 {
			t.Errorf("what continues nothing went to %+v", other)
		}
		for _, path := range []string{"/v1/responses/" + next.id, "/v1/responses/" + next.id + "/input_items"} {
			if got := p.send(p.request("GET", path, "")); got.Header().Get("X-Gateway-Provider") != "p1" || got.Code != 200 {
				t.Errorf("%s: got %d from %s", path, got.Code, got.Header().Get("X-Gateway-Provider"))
			}
			p.record()
		}
	})
}

// Encrypted reasoning is for the target that wrote it, where that is known.
func TestPoolsEncryptedReasoning(t *testing.T) {
	t.Parallel()
	const question = `{"model":"best","store":false,"include":["reasoning.encrypted_content"],"input":[{"role":"user","content":"say something"}`
	const reasoning = question + `,{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"},{"role":"user","content":"go on"}]}`
	for _, tt := range []struct {
		name   string
		words  [][]string
		bodies []string
		asked  []string
	}{
		{"of an unknown one", [][]string{{"status=500"}, nil}, []string{reasoning}, []string{"p0", "p1"}},
		{"only wished for", [][]string{{"status=500"}, nil}, []string{question + "]}"}, []string{"p0", "p1"}},
		{"of a known one", [][]string{{"", "status=500"}, nil}, []string{question + "]}", reasoning}, []string{"p0", "p0"}},
		{"of the one that helped out", [][]string{{"status=500"}, {"", "status=500"}}, []string{question + "]}", reasoning}, []string{"p0", "p1", "p1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := setPools(t, tt.words, nil)
				for _, body := range tt.bodies {
					p.send(p.request("POST", "/v1/responses", body))
				}
				if !slices.Equal(p.asked(), tt.asked) {
					t.Errorf("asked %v, want %v", p.asked(), tt.asked)
				}
			})
		})
	}
}

// Without a name, a conversation is known by what it begins with; one that only begins the
// same begins where all do.
func TestPoolsAffinityByBeginning(t *testing.T) {
	t.Parallel()
	const (
		opening = `{"model":"best","messages":[{"role":"system","content":"s"},{"role":"user","content":"%d"}`
		next    = `,{"role":"assistant","content":"a"},{"role":"user","content":"b"}`
	)
	for _, tt := range []struct{ path, opening string }{{"/v1/chat/completions", opening}, {"/v1/responses", strings.Replace(opening, "messages", "input", 1)}} {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := setPools(t, [][]string{{"status=500"}, nil}, nil)
				ask := func(key string, n int, more string) string {
					r := p.request("POST", tt.path, fmt.Sprintf(tt.opening, n)+more+"]}")
					p.send(r.WithContext(llmproxy.WithCaller(r.Context(), llmproxy.Caller{Key: key})))
					return p.record().Provider
				}
				got := []string{ask("k", 1, ""), ask("k", 1, next), ask("other", 1, next), ask("k", 1, ""), ask("k", 2, "")}
				if want := []string{"p1", "p1", "p0", "p0", "p0"}; !slices.Equal(got, want) {
					t.Errorf("served by %v, want %v", got, want)
				}
				q := setPools(t, [][]string{nil, nil, nil}, func(p *interceptors.Pools) {
					for i := range p.Models["best"] {
						p.Models["best"][i].Tier = 0
					}
				})
				p = q
				count := map[string]int{}
				for n := range 60 {
					home := ask("", n, "")
					count[home]++
					if got := ask("", n, next); got != home {
						t.Errorf("%d went from %s to %s", n, home, got)
					}
				}
				if count["p0"] < 10 || count["p1"] < 10 || count["p2"] < 10 {
					t.Errorf("shared out as %v", count)
				}
			})
		})
	}
}

// Conversations stay where they are, new ones are shared out.
func TestPoolsAffinity(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"prompt_cache_key", "Session-Id", "session_id", "X-Session-Affinity", "Thread-Id"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := setPools(t, [][]string{nil, nil, nil}, func(p *interceptors.Pools) {
					for i := range p.Models["best"] {
						p.Models["best"][i].Tier = 0
					}
				})
				count := map[string]int{}
				for n := range 60 {
					key := fmt.Sprint("conversation ", n)
					ask := func() string {
						if name == "prompt_cache_key" {
							return p.create(`,"prompt_cache_key":"` + key + `"`).provider
						}
						return p.create("", name, key).provider
					}
					home := ask()
					count[home]++
					for range 3 {
						if got := ask(); got != home {
							t.Fatalf("%s went from %s to %s", key, home, got)
						}
					}
				}
				if count["p0"] < 10 || count["p1"] < 10 || count["p2"] < 10 {
					t.Errorf("shared out as %v", count)
				}
			})
		})
	}
}

// A conversation whose target was down stays with the one that helped out, until it has
// been forgotten.
func TestPoolsAffinityMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{{"status=500"}, nil}, nil)
		got := []string{p.create("", "Session-Id", "s").provider, p.create("", "Session-Id", "s").provider, p.create("").provider}
		<-time.After(time.Hour)
		got = append(got, p.create("", "Session-Id", "s").provider)
		if want := []string{"p1", "p1", "p0", "p0"}; !slices.Equal(got, want) {
			t.Errorf("served by %v, want %v", got, want)
		}
	})
}

// Only so many conversations are remembered.
func TestPoolsAffinityIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{{"status=500"}, nil}, func(p *interceptors.Pools) { p.Affinity.Remember = 4 })
		p.create("", "Session-Id", "s") // two: it and its response
		p.create("", "Session-Id", "t")
		kept := p.create("", "Session-Id", "s").provider
		for n := range 4 { // four responses: the same request would have the same one
			p.create(fmt.Sprintf(`,"max_output_tokens":%d`, 100+n))
		}
		if gone := p.create("", "Session-Id", "s").provider; kept != "p1" || gone != "p0" {
			t.Errorf("served by %s, then by %s", kept, gone)
		}
	})
}
