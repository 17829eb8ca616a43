package interceptors_test

import (
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// A response that goes on from a turn by itself takes its tokens too, and may be gone on
// with.
func TestSuccessors(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	pools := &interceptors.Pools{}
	r := newSocketRig(t, llmproxy.WithDetector(pools), llmproxy.WithInterceptor(
		&interceptors.Limits{Quota: interceptors.Quota{Tokens: 2000}}, pools,
	))
	var usage [2]int64
	first := r.addScripted("first", nil, func(_ []byte, turn int) simulator.Script {
		switch turn {
		case 1:
			return simulator.Script{BeforeEvent: simulator.Until(gate)}
		case 2: // the successor
			prompt, completion := int64(1000), int64(10)
			return simulator.Script{Counts: simulator.Counts{Prompt: &prompt, Completion: &completion}}
		}
		return simulator.Script{}
	})
	pools.Models = map[string][]interceptors.Target{"best": {{Provider: first, Model: "m1"}}}
	l := r.connect()
	l.send(`{"type":"response.create","model":"best","input":"one two three"}`)
	for range 5 {
		gate <- struct{}{}
	}
	id := l.await("response.created").Response.ID
	l.send(`{"type":"response.steer","previous_response_id":"` + id + `","input":"four"}`)
	l.await("response.steer.accepted")
	close(gate)
	l.await("response.incomplete")
	usage[0] = r.record().Usage.TotalTokens()
	l.await("response.completed")
	usage[1] = r.record().Usage.TotalTokens()
	if usage[0] == 0 || usage[0] > 100 || usage[1] != 1010 {
		t.Errorf("the records say %v", usage)
	}
	// 1034 are reserved, and less than that is left.
	if got := l.turn(`"model":"best"`); got.Status != 429 {
		t.Errorf("got %+v", got)
	}
}
