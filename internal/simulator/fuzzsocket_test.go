package simulator_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// FuzzMessage holds what a client gets for any message, after a turn that went well:
// events with a type, each turn's numbered from 0 and ended once, or an error with a
// status; and that the socket is as good as before.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"type":"response.create","model":"m","input":"one two"}`,
		`{"type":"response.create","model":"m","input":"use f","tools":[{"type":"function","name":"f"}],"stream_id":"a","store":false}`,
		`{"type":"response.create","model":"m-think","input":[{"role":"user","content":"x"}],"generate":false,"max_output_tokens":1}`,
		`{"type":"response.create","model":"m","input":[{"type":"function_call_output","call_id":"c","output":"x"}],"previous_response_id":"resp_1"}`,
		`{"type":"response.create","model":"m","input":"x","metadata":{"simulate":"status=500,cut-events=3,no-stream-id"}}`,
		`{"type":"response.create","model":"m","input":"x","metadata":{"simulate":"end=error,flat-error,meta"}}`,
		`{"type":"response.create","model":"m","input":"x","prompt_cache_options":{"prewarm":1},"background":"x"}`,
		`{"type":"response.steer","previous_response_id":"r","input":[{"role":"user","content":[{"type":"input_text"}]}]}`,
		`{"type":"response.inject","response_id":"r","input":[{}]}`,
		`{"type":"response.interrupt","response_id":"r","mode":"discard_partial_items"}`,
		`{"type":"response.cancel","stream_id":"a"}`,
		`{"type":"response.processed"}`,
		`{"type":null,"stream_id":"\u0000"}`, `[`, `"`, `{"type":"response.create"}{}`, "\xff", "",
	} {
		f.Add([]byte(seed))
	}
	const good = `{"type":"response.create","model":"m","input":"x"}`
	f.Fuzz(func(t *testing.T, message []byte) {
		if bytes.Contains(message, []byte("simulate")) && !isSeed(message) {
			t.Skip("scripts may ask for anything")
		}
		s := simulator.New(simulator.Options{AnyModel: true})
		out, turns := simulator.Converse(t.Context(), s, "/v1/responses", []byte(good), message, []byte(good))
		next, ended := map[string]int{}, 0
		for _, data := range out {
			var e struct {
				Type     string
				StreamID string `json:"stream_id"`
				Status   int
				Error    *struct{ Message string }
				Sequence *int `json:"sequence_number"`
				Code     string
			}
			if err := json.Unmarshal(data, &e); err != nil || e.Type == "" {
				t.Fatalf("%s: %v", data, err)
			}
			switch e.Type {
			case "error":
				flat := e.Error == nil && e.Code != "" && e.Sequence != nil
				if !flat && (e.Error == nil || e.Error.Message == "" || e.Status < 400 || e.Status > 599) {
					t.Fatalf("error %s", data)
				}
			case "response.created":
				next[e.StreamID] = 0
			case "response.completed", "response.incomplete", "response.failed":
				ended++
			}
			if e.Sequence != nil && e.Type != "error" && !isNotice(e.Type) {
				if *e.Sequence != next[e.StreamID] {
					t.Fatalf("%s, want number %d", data, next[e.StreamID])
				}
				next[e.StreamID]++
			}
		}
		completed := 0
		for _, turn := range turns {
			switch turn.Outcome {
			case simulator.TurnCompleted, simulator.TurnIncomplete, simulator.TurnFailed:
				completed++
			case simulator.TurnErrored:
				if turn.Status == 0 {
					t.Fatalf("counted %+v", turn)
				}
			case simulator.TurnRunning, simulator.TurnAborted:
				t.Fatalf("counted %+v", turn)
			}
			u := turn.Usage
			if min(u.Prompt-u.Cached-u.CacheWrite, u.Completion-u.Reasoning) < 0 {
				t.Fatalf("parts of %+v exceed their whole", u)
			}
		}
		if ended != completed || completed < 2 || len(turns) > 3 {
			t.Fatalf("%d ends, counted %+v", ended, turns)
		}
	})
}

func isNotice(kind string) bool {
	return kind == "response.steer.failed" || kind == "response.inject.failed" ||
		kind == "response.steer.accepted" || kind == "response.inject.created"
}

// isSeed reports whether message is one of those above whose script is tame.
func isSeed(message []byte) bool {
	return bytes.Contains(message, []byte(`{"simulate":"status=500,cut-events=3,no-stream-id"}}`)) ||
		bytes.Contains(message, []byte(`{"simulate":"end=error,flat-error,meta"}}`))
}
