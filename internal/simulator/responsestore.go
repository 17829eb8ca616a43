package simulator

import (
	"iter"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

// maxStoredResponses is how many responses can be retrieved.
const maxStoredResponses = 256

// storedResponse is a response that can be retrieved and continued.
type storedResponse struct {
	*response
	status  string // what an observer sees; a background response moves on with each look
	context conversation
}

func (st *storedResponse) object() responseObject { return st.response.object(st.status) }

// conversation is what a response hands on to the one that continues it.
type conversation struct {
	tokens int64
	calls  []string // call ids that an output may answer
}

// responseStore keeps the last responses.
type responseStore struct {
	mu        sync.Mutex
	responses []*storedResponse // guarded by mu, the oldest first
}

// before returns the conversation that req continues.
func (st *responseStore) before(req *responseRequest) (conversation, error) {
	var before conversation
	if req.previous != "" {
		stored, err := st.get(req.previous)
		if err != nil {
			return before, badRequest("previous_response_not_found", "previous_response_id",
				"Previous response with id '%s' not found.", req.previous)
		}
		before = stored.context
	}
	return before, before.admits(req)
}

// admits checks that what req answers are calls of c, or its own.
func (c *conversation) admits(req *responseRequest) error {
	known := slices.Concat(c.calls, req.calls)
	for _, id := range req.outputs {
		if !slices.Contains(known, id) {
			return badRequest("", "input", "No tool call found for function call output with call_id %s.", id)
		}
	}
	return nil
}

// after returns r, which is complete, as it will be continued.
func after(r *response, before conversation) *storedResponse {
	stored := &storedResponse{response: r, status: r.end()}
	if r.request.background && !r.request.stream {
		stored.status = "queued"
	}
	stored.context = conversation{
		tokens: r.tokens - r.request.instructions + r.answer.tokens - r.answer.reasoning - r.discarded,
		calls:  slices.Concat(before.calls, r.request.calls),
	}
	for j := range r.answer.calls {
		stored.context.calls = append(stored.context.calls, r.callItem(j, false).CallID)
	}
	return stored
}

// put keeps stored, if it is to be stored.
func (st *responseStore) put(stored *storedResponse) {
	if !stored.request.store {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.responses = slices.DeleteFunc(st.responses, func(old *storedResponse) bool { return old.id() == stored.id() })
	st.responses = append(st.responses, stored)
	if len(st.responses) > maxStoredResponses {
		st.responses = slices.Delete(st.responses, 0, 1)
	}
}

// get returns a copy of the response that is called id.
func (st *responseStore) get(id string) (storedResponse, error) {
	return st.change(id, func(*storedResponse) {})
}

// change lets f change a response and returns a copy of it.
func (st *responseStore) change(id string, f func(*storedResponse)) (storedResponse, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, stored := range st.responses {
		if stored.id() == id {
			f(stored)
			return *stored, nil
		}
	}
	return storedResponse{}, notFound("", "", "Response with id '%s' not found.", id)
}

func (st *responseStore) remove(id string) error {
	if _, err := st.get(id); err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.responses = slices.DeleteFunc(st.responses, func(old *storedResponse) bool { return old.id() == id })
	return nil
}

// retrieveResponse answers GET /responses/{id}: with the response, or with a replay of
// its stream. A background response goes from queued over in_progress to its end, one
// step a look.
func (s *Server) retrieveResponse(c *call) (reply, error) {
	id := c.params["id"]
	query := c.URL.Query()
	if query.Get("stream") == "true" {
		return s.replay(id, query.Get("starting_after"))
	}
	stored, err := s.responses.change(id, func(st *storedResponse) {
		switch st.status {
		case "queued":
			st.status = "in_progress"
		case "in_progress":
			st.status = st.end()
		}
	})
	if err != nil {
		return reply{}, err
	}
	return jsonReply(http.StatusOK, stored.object()), nil
}

// replay repeats the events of a stream after the one numbered after.
func (s *Server) replay(id, after string) (reply, error) {
	stored, err := s.responses.get(id)
	if err != nil {
		return reply{}, err
	}
	if !stored.request.background || !stored.request.stream {
		return reply{}, badRequest("", "stream", "Only a streamed background response can be streamed again.")
	}
	skip := 0
	if after != "" {
		n, err := strconv.Atoi(after)
		if err != nil || n < 0 {
			return reply{}, badRequest("invalid_type", "starting_after", "'starting_after' must be a number.")
		}
		skip = n + 1
	}
	return streamReply(skipping(stored.events(), skip)), nil
}

// skipping returns events without the first n.
func skipping(events iter.Seq[event], n int) iter.Seq[event] {
	return func(yield func(event) bool) {
		i := 0
		for e := range events {
			if i++; i > n && !yield(e) {
				return
			}
		}
	}
}

func (s *Server) deleteResponse(c *call) (reply, error) {
	id := c.params["id"]
	if err := s.responses.remove(id); err != nil {
		return reply{}, err
	}
	return jsonReply(http.StatusOK, struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Deleted bool   `json:"deleted"`
	}{id, "response", true}), nil
}

// cancelResponse cancels a background response that has not ended.
func (s *Server) cancelResponse(c *call) (reply, error) {
	stored, err := s.responses.change(c.params["id"], func(st *storedResponse) {
		if st.status == "queued" || st.status == "in_progress" {
			st.status = "cancelled"
		}
	})
	if err != nil {
		return reply{}, err
	}
	if !stored.request.background {
		return reply{}, badRequest("", "", "Only a background response can be cancelled.")
	}
	return jsonReply(http.StatusOK, stored.object()), nil
}
