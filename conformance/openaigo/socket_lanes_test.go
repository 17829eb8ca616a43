package openaigo

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/openai/openai-go/v3/responses"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// lane attaches to a lane of c.
func (c *socket) lane(name string) *responses.ResponseLane {
	c.s.T.Helper()
	l, err := c.Lane(name)
	c.s.Do(err)
	return l
}

// Many conversations on one connection, each with a goroutine and models of different
// price. What the SDK is told of each response is what the provider counted.
func TestSocketLanes(t *testing.T) {
	t.Parallel()
	const lanes, turns = 32, 6 // as many lanes as there may be, twice what runs at once
	models := []string{"gpt-5-mini", "gpt-5-reason", "gpt-4o-mini"}
	for i := range twoEntries {
		e := twoEntries[i]
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			s := openSocket(t, simulator.Options{}, &e)
			c := s.connect()
			var mu sync.Mutex
			told := map[string]simulator.Usage{} // by the response; guarded by mu
			var all sync.WaitGroup
			for i := range lanes {
				name := fmt.Sprintf("lane-%d.x", i)
				l := c.lane(name)
				all.Go(func() {
					model, previous := models[i%len(models)], ""
					for n := range turns {
						text := fmt.Sprintf("lane %d turn %d%s", i, n, strings.Repeat(" more", i%9))
						event := on(name, s.say(model, text))
						if previous != "" {
							event = after(event, previous)
						}
						if err := c.Create(s.ctx, event); err != nil {
							t.Errorf("%s: %v", name, err)
							return
						}
						got, err := l.FinalResponse(s.ctx)
						if err != nil {
							t.Errorf("%s, turn %d: %v", name, n, err)
							return
						}
						if got.OutputText() != "You said: "+text || got.Model != snapshot(model) || got.PreviousResponseID != previous {
							t.Errorf("%s, turn %d: got %s", name, n, got.RawJSON())
						}
						previous = got.ID
						mu.Lock()
						told[got.ID] = tokens(got.Usage)
						mu.Unlock()
					}
				})
			}
			all.Wait()
			c.leave()
			s.counted()
			s.Settled()
			counted := s.provider.Connections()[0].Turns
			if len(counted) != lanes*turns || len(told) != lanes*turns {
				t.Errorf("%d turns were counted and %d told, want %d", len(counted), len(told), lanes*turns)
			}
			for _, turn := range counted {
				if told[turn.ResponseID] != turn.Usage {
					t.Errorf("turn %+v was told as %+v", turn, told[turn.ResponseID])
				}
			}
		})
	}
}

// Several connections of one client at a time, with lanes of the same names.
func TestSocketsAtOnce(t *testing.T) {
	t.Parallel()
	const sockets, lanes, turns = 8, 3, 4
	s := openSocket(t, simulator.Options{}, &twoEntries[1])
	var all sync.WaitGroup
	for i := range sockets {
		c := s.connect()
		var lanesDone sync.WaitGroup
		for j := range lanes {
			name := fmt.Sprint(j)
			l := c.lane(name)
			lanesDone.Go(func() {
				for n := range turns {
					text := fmt.Sprintf("socket %d lane %d turn %d", i, j, n)
					if err := c.Create(s.ctx, on(name, s.say("gpt-5-mini", text))); err != nil {
						t.Errorf("%s: %v", text, err)
						return
					}
					got, err := l.FinalResponse(s.ctx)
					if err != nil || got.OutputText() != "You said: "+text {
						t.Errorf("%s: got %v, %v", text, got, err)
						return
					}
				}
			})
		}
		all.Go(func() {
			lanesDone.Wait()
			if err := c.Close(); err != nil {
				t.Errorf("socket %d: %v", i, err)
			}
		})
	}
	all.Wait()
	s.counted()
	s.Settled()
}

// What the provider has no room for waits with the provider, not with the gateway.
func TestSocketMoreThanRunAtOnce(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		const atOnce, more = 16, 4
		c := s.connect()
		var lanes []*responses.ResponseLane
		for i := range atOnce + more {
			name := fmt.Sprint("l", i)
			lanes = append(lanes, c.lane(name))
			c.send(wait(on(name, s.say("gpt-5-mini", "wait for the others"))))
		}
		_, err := s.provider.AwaitConnections(s.ctx, func(cs []simulator.Connection) bool {
			return len(cs) == 1 && len(cs[0].Frames) == atOnce+more && len(cs[0].Turns) == atOnce
		})
		s.Do(err)
		s.open()
		for i, l := range lanes {
			got, err := l.FinalResponse(s.ctx)
			s.Do(err)
			if got.OutputText() != "You said: wait for the others" {
				s.T.Errorf("lane %d says %q", i, got.OutputText())
			}
		}
		c.leave()
	})
}

// Creates in one lane are answered in their order, without waiting for each other.
func TestSocketLaneIsAQueue(t *testing.T) {
	t.Parallel()
	for _, lane := range []string{"", "main"} {
		t.Run(lane, func(t *testing.T) {
			t.Parallel()
			overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
				c := s.connect()
				for i := range 12 {
					event := s.say("gpt-5-mini", fmt.Sprintf("number %d", i))
					if lane != "" {
						event = on(lane, event)
					}
					c.send(event)
				}
				for i := range 12 {
					s.answered(s.completed(c), responses.ResponseStatusCompleted, fmt.Sprintf("You said: number %d", i), simulator.Usage{Prompt: 2, Completion: 4})
				}
				c.leave()
			})
		})
	}
}

// A conversation forks into other lanes, and each goes its own way.
func TestSocketFork(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, socketEntries, func(s *socketSession) {
		c := s.connect()
		trunk, left, right, late := c.lane("trunk"), c.lane("left"), c.lane("right"), c.lane("late")
		c.send(on("trunk", s.say("gpt-5-mini", "the common part")))
		parent := s.completed(trunk)
		s.answered(parent, responses.ResponseStatusCompleted, "You said: the common part", simulator.Usage{Prompt: 3, Completion: 5})

		c.send(after(on("left", s.say("gpt-5-mini", "go left")), parent.ID))
		s.until(left, "response.in_progress")
		c.send(after(on("right", s.say("gpt-5-reason", "now go right")), parent.ID))
		s.until(right, "response.in_progress")
		c.send(after(on("trunk", s.say("gpt-5-mini", "straight on")), parent.ID))

		l, r, straight := s.completed(left), s.completed(right), s.completed(trunk)
		s.answered(l, responses.ResponseStatusCompleted, "You said: go left", simulator.Usage{Prompt: 8 + 2, Completion: 4})
		s.answered(r, responses.ResponseStatusCompleted, "You said: now go right", simulator.Usage{Prompt: 8 + 3, Completion: 64 + 5, Reasoning: 64})
		s.answered(straight, responses.ResponseStatusCompleted, "You said: straight on", simulator.Usage{Prompt: 8 + 2, Completion: 4})

		// The trunk has moved on: nobody remembers the parent.
		c.send(after(on("late", s.say("gpt-5-mini", "too late")), parent.ID))
		if e := s.fault(late, 400, "previous_response_not_found"); e.StreamID != "late" || e.Error.Param != "previous_response_id" {
			s.T.Errorf("got %s", e.RawJSON())
		}
		c.send(after(on("left", s.say("gpt-5-mini", "further left")), l.ID))
		s.answered(s.completed(left), responses.ResponseStatusCompleted, "You said: further left", simulator.Usage{Prompt: 14 + 2, Completion: 4})
		c.leave()
	})
}

// Creates without a lane run beside those that have one.
func TestSocketDefaultLane(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		named := c.lane("named")
		c.send(wait(on("named", s.say("gpt-5-mini", "in a lane"))))
		s.pass(1)
		s.want(named, "response.created")
		c.send(s.say("gpt-5-mini", "in none"))
		s.answered(s.completed(c), responses.ResponseStatusCompleted, "You said: in none", simulator.Usage{Prompt: 2, Completion: 4})
		s.open()
		s.answered(s.completed(named), responses.ResponseStatusCompleted, "You said: in a lane", simulator.Usage{Prompt: 3, Completion: 5})
		c.leave()
	})
}
