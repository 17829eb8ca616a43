package interceptors_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// pooled is a stage whose providers serve the model "best" together.
type pooled struct {
	*stage
	pools *interceptors.Pools
}

// setPools returns a stage of as many providers as there are lists of words: p0 answers as
// the words of the first say, and so on. change adjusts the targets, which have the model
// m0, m1 … and a tier each.
func setPools(t *testing.T, words [][]string, change func(p *interceptors.Pools), opts ...llmproxy.Option) *pooled {
	t.Helper()
	p := &pooled{pools: &interceptors.Pools{Draw: func(int) int { return 0 }}}
	p.stage = setStage(t, nil, nil, append([]llmproxy.Option{llmproxy.WithDetector(p.pools), llmproxy.WithInterceptor(p.pools)}, opts...)...)
	var targets []interceptors.Target
	for i, w := range words {
		provider := p.provider(fmt.Sprint("p", i), inTurn(w...))
		p.router.RegisterProvider(provider)
		targets = append(targets, interceptors.Target{Provider: provider, Model: fmt.Sprint("m", i), Tier: i})
	}
	p.pools.Models = map[string][]interceptors.Target{"best": targets}
	if change != nil {
		change(p.pools)
	}
	return p
}

func best(body string) string { return strings.Replace(body, "gpt-5-mini", "best", 1) }

const createBody = `{"model":"best","input":"say something"`

// create posts a Responses create with further members.
func (p *pooled) create(members string, fields ...string) *answered {
	p.t.Helper()
	w := p.send(p.request("POST", "/v1/responses", createBody+members+"}", fields...))
	rec := p.record()
	return &answered{w.Code, rec.Provider, rec.ResponseID}
}

type answered struct {
	status       int
	provider, id string
}

// The next target is asked where another one may do better, and nowhere else.
func TestPoolsFallBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		word   string
		calls  int
		status int
	}{
		{"", 1, 200},
		{"status=500", 2, 200},
		{"status=503", 2, 200},
		{"status=529", 2, 200},
		{"status=498", 2, 200},
		{"status=408", 2, 200},
		{"status=424", 2, 200},
		{"status=429", 2, 200},
		{"status=429,code=insufficient_quota", 2, 200},
		{"status=402", 2, 200},
		{"status=401", 2, 200},
		{"status=403", 2, 200},
		{"status=404", 2, 200},
		{"cut-bytes=0", 2, 200},
		{"status=500,should-retry=false", 2, 200},
		{"status=400", 1, 400},
		{"status=409", 1, 409},
		{"status=413", 1, 413},
		{"status=422", 1, 422},
	} {
		for _, body := range []string{chatBody, streamBody} {
			t.Run(tt.word, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					p := setPools(t, [][]string{{tt.word}, nil}, nil)
					got := p.post(best(body))
					if got.Code != tt.status || len(p.times()) != tt.calls {
						t.Errorf("got %d after %d calls, want %d after %d", got.Code, len(p.times()), tt.status, tt.calls)
					}
					served := tt.calls - 1
					provider, model := fmt.Sprint("p", served), fmt.Sprint("m", served)
					if h := got.Header(); h.Get("X-Gateway-Provider") != provider || h.Get("X-Gateway-Model") != model {
						t.Errorf("served by %s %s, want %s %s", h.Get("X-Gateway-Provider"), h.Get("X-Gateway-Model"), provider, model)
					}
					rec := p.record()
					if rec.Provider != provider || rec.ModelAsked != model || rec.ModelRequested != "best" || len(rec.Attempts) != tt.calls || rec.Attempts[0].Provider != "p0" {
						t.Errorf("record %+v", rec)
					}
					for i, c := range p.calls {
						if want := strings.Replace(body, "gpt-5-mini", fmt.Sprint("m", i), 1); c.body != want {
							t.Errorf("%s received %s, want %s", c.provider, c.body, want)
						}
					}
				})
			})
		}
	}
}

// The answer of the last target that was asked reaches the client as it came.
func TestPoolsHandOnTheLastAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{{"status=500"}, {"status=503"}, {"status=429,retry-after=9"}, nil}, func(p *interceptors.Pools) { p.Attempts = 3 })
		plain := setStage(t, once("status=429,retry-after=9"), []string{"openai"})
		want := plain.post(strings.Replace(chatBody, "gpt-5-mini", "m2", 1))
		got := p.post(best(chatBody))
		if got.Code != 429 || got.Body.String() != want.Body.String() || got.Header().Get("Retry-After") != "9" {
			t.Errorf("got %d %s %v, want %s", got.Code, got.Body, got.Header(), want.Body)
		}
		if want := []string{"p0", "p1", "p2"}; !slices.Equal(p.asked(), want) {
			t.Errorf("asked %v, want %v", p.asked(), want)
		}
	})
}

// What the client sends to a provider by name goes there.
func TestPoolsLeaveNamedProvidersAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := []string{"status=500", "status=500", "status=500"}
		p := setPools(t, [][]string{nil, down}, nil)
		for _, r := range []*http.Request{
			p.request("POST", "/v1/chat/completions", best(chatBody), "X-Provider", "p1"),
			p.request("POST", "/p1/v1/chat/completions", best(chatBody)),
			p.request("POST", "/v1/chat/completions", strings.Replace(chatBody, "gpt-5-mini", "p1/best", 1)),
		} {
			if got := p.send(r); got.Code != 500 {
				t.Errorf("%s: got %d, want that of p1", r.URL, got.Code)
			}
		}
		if want := []string{"p1", "p1", "p1"}; !slices.Equal(p.asked(), want) {
			t.Errorf("asked %v, want %v", p.asked(), want)
		}
	})
}

// Targets share the exchanges of a tier by weight; a weight below nothing is for emergencies.
func TestPoolsWeights(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0 // of the draws that decide: one of the detector's, one of the interceptor's
		p := setPools(t, [][]string{nil, nil, nil, nil}, func(p *interceptors.Pools) {
			for i, weight := range []int{3, 0, -1, 1} {
				p.Models["best"][i].Tier, p.Models["best"][i].Weight = 1, weight
			}
			p.Models["best"][3].Tier = 2
			p.Draw = func(most int) int {
				if most < 4 {
					return 0
				}
				n++
				return n / 2 % most
			}
		})
		count := map[string]int{}
		for range 400 {
			p.send(p.request("POST", "/v1/embeddings", `{"model":"best","input":"say something"}`)) // no conversation
			count[p.record().Provider]++
		}
		if want := map[string]int{"p0": 300, "p1": 100}; !maps.Equal(count, want) {
			t.Errorf("got %v, want %v", count, want)
		}
	})
}

// A target that is out is not asked. When its time is over, one exchange tries it, and
// the others do not wait for what comes of that.
func TestPoolsHealth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		words []string        // of the first target
		at    []time.Duration // of the exchanges
		asked []string
	}{
		{
			"out for as long as it says",
			[]string{"status=429,retry-after=7"},
			[]time.Duration{0, 1, 7*sec - 1, 7 * sec, 8 * sec},
			[]string{"p0", "p1", "p1", "p1", "p0", "p0"},
		},
		{
			"out for a while that doubles",
			[]string{"status=529", "status=529", "status=529"},
			[]time.Duration{0, 5*sec - 1, 5 * sec, 15*sec - 1, 15 * sec, 35*sec - 1, 35 * sec, 36 * sec},
			[]string{"p0", "p1", "p1", "p0", "p1", "p1", "p0", "p1", "p1", "p0", "p0"},
		},
		{
			"one fault is nothing",
			[]string{"status=500", "", "status=500", "status=500", "", "status=500"},
			[]time.Duration{0, 1, 2, 3, 4, 5, 6},
			[]string{"p0", "p1", "p0", "p0", "p1", "p0", "p1", "p0", "p0", "p1", "p0"},
		},
		{
			"three faults are",
			[]string{"status=500", "cut-bytes=0", "status=503"},
			[]time.Duration{0, 1, 2, 3, 5*sec + 1, 5*sec + 2, 6 * sec},
			[]string{"p0", "p1", "p0", "p1", "p0", "p1", "p1", "p1", "p0", "p0"},
		},
		{
			"no quota",
			[]string{"status=429,code=insufficient_quota"},
			[]time.Duration{0, 1, 1001 * ms, 4 * time.Minute},
			[]string{"p0", "p1", "p1", "p0", "p0"},
		},
		{
			"a bad request is no fault",
			[]string{"status=400", "status=400", "status=400", "status=400"},
			[]time.Duration{0, 1, 2, 3, 4},
			[]string{"p0", "p0", "p0", "p0", "p0"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := setPools(t, [][]string{tt.words, nil}, nil)
				for _, at := range tt.at {
					<-time.After(at - time.Since(p.began))
					p.post(best(chatBody))
				}
				if !slices.Equal(p.asked(), tt.asked) {
					t.Errorf("asked %v, want %v", p.asked(), tt.asked)
				}
			})
		})
	}
}

func TestPoolsTryOutWithOneExchange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{{"status=429,retry-after=1", "delay=10s"}, nil}, nil)
		p.post(best(chatBody))
		<-time.After(sec)
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.post(best(chatBody))
		}()
		synctest.Wait() // it is with p0
		p.post(best(chatBody))
		<-done
		p.post(best(chatBody))
		if want := []string{"p0", "p1", "p0", "p1", "p0"}; !slices.Equal(p.asked(), want) {
			t.Errorf("asked %v, want %v", p.asked(), want)
		}
	})
}

// All targets are asked, where nothing else is said.
func TestPoolsAskAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := []string{"status=500"}
		p := setPools(t, [][]string{down, down, down, down, nil}, nil)
		if got := p.post(best(chatBody)); got.Code != 200 {
			t.Errorf("got %d", got.Code)
		}
		if want := []string{"p0", "p1", "p2", "p3", "p4"}; !slices.Equal(p.asked(), want) {
			t.Errorf("asked %v, want %v", p.asked(), want)
		}
	})
}

// Where all are out, all are asked, in the order in which they come back; one that answers
// is well again.
func TestPoolsAllOutAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{{"status=429,retry-after=60"}, {"status=429,retry-after=20", "status=503"}, {"status=429,retry-after=40"}}, nil)
		for _, want := range []int{429, 200, 200} {
			if got := p.post(best(chatBody)); got.Code != want {
				t.Errorf("got %d, want %d", got.Code, want)
			}
		}
		if want := []string{"p0", "p1", "p2", "p1", "p2", "p2"}; !slices.Equal(p.asked(), want) {
			t.Errorf("asked %v, want %v", p.asked(), want)
		}
	})
}

// A call that began before its target fell, and succeeds, does not make it well.
func TestPoolsLateSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{{"delay=2s", "status=429,retry-after=30"}, nil}, nil)
		done := make(chan int)
		go func() { done <- p.post(best(chatBody)).Code }()
		synctest.Wait()
		p.post(best(chatBody))
		if got := <-done; got != 200 {
			t.Errorf("got %d", got)
		}
		p.post(best(chatBody))
		if want := []string{"p0", "p0", "p1", "p1"}; !slices.Equal(p.asked(), want) {
			t.Errorf("asked %v, want %v", p.asked(), want)
		}
	})
}

// Where all are out, that one is asked first that comes back first.
func TestPoolsAllOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{{"status=429,retry-after=60"}, {"status=429,retry-after=20"}, {"status=429,retry-after=40"}}, nil)
		for _, want := range []int{429, 200} {
			if got := p.post(best(chatBody)); got.Code != want {
				t.Errorf("got %d, want %d", got.Code, want)
			}
		}
		if want := []string{"p0", "p1", "p2", "p1"}; !slices.Equal(p.asked(), want) {
			t.Errorf("asked %v, want %v", p.asked(), want)
		}
	})
}

// The health of one model is not that of another at the same provider.
func TestPoolsHealthPerModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{{"status=429,retry-after=60"}, nil}, func(p *interceptors.Pools) {
			targets := slices.Clone(p.Models["best"])
			targets[0].Model = "other"
			p.Models["second"] = targets
		})
		p.post(best(chatBody))
		p.post(strings.Replace(chatBody, "gpt-5-mini", "second", 1))
		if want := []string{"p0", "p1", "p0"}; !slices.Equal(p.asked(), want) {
			t.Errorf("asked %v, want %v", p.asked(), want)
		}
	})
}

// A target that does not speak the API of the request is passed over.
func TestPoolsSkipOtherAPIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{nil, nil}, func(p *interceptors.Pools) {
			p.Models["best"][0].Provider = &llmproxy.BaseProvider{ID: "p0", URLs: p.Models["best"][0].Provider}
		})
		if got := p.post(best(chatBody)); got.Code != 200 || got.Header().Get("X-Gateway-Provider") != "p1" {
			t.Errorf("got %d from %s", got.Code, got.Header().Get("X-Gateway-Provider"))
		}
		p.pools.Models["best"] = p.pools.Models["best"][:1]
		if got := p.post(best(chatBody)); len(p.asked()) != 2 && got.Code != 400 {
			t.Errorf("got %d %s", got.Code, got.Body)
		}
	})
}

// Without a detector, the router's own choice is one of several.
func TestPoolsWithoutDetector(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pools := &interceptors.Pools{}
		s := setStage(t, once("status=500"), []string{"openai", "second"}, llmproxy.WithInterceptor(pools), llmproxy.WithFallback("openai"))
		second := s.provider("third", func(*http.Request) simulator.Script { return simulator.Script{} })
		pools.Models = map[string][]interceptors.Target{"gpt-5-mini": {{Provider: second, Model: "other"}}}
		if got := s.post(chatBody); got.Code != 200 || got.Header().Get("X-Gateway-Provider") != "third" {
			t.Errorf("got %d %v", got.Code, got.Header())
		}
	})
}
