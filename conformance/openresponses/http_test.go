package openresponses

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
)

// A red dot and an empty page, as data URLs.
const (
	png = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
	pdf = "data:application/pdf;base64,JVBERi0xLjQKJSVFT0YK"
)

// httpCases are the cases of the suite over HTTP, and those that other versions of it
// have.
func httpCases() []scenario {
	return []scenario{
		{"basic-response", func(c *client) {
			c.completes(object{"input": []any{message("user", "say hello in exactly three words")}})
		}},
		{"assistant-phase", func(c *client) {
			said := func(text, phase string) object {
				o := message("assistant", text)
				o["phase"] = phase
				return o
			}
			c.completes(object{"input": []any{
				message("user", "what is two and two"), said("let me think", "commentary"), said("four", "final_answer"), message("user", "and three"),
			}})
		}},
		{"streaming-response", func(c *client) {
			final := c.stream(object{"input": []any{message("user", "count to five")}})
			if final["status"] != "completed" {
				c.t.Errorf("status %v", final["status"])
			}
		}},
		{"system-prompt", func(c *client) {
			c.completes(object{"input": []any{message("system", "talk like a pirate"), message("user", "say hello")}})
		}},
		{"tool-calling", func(c *client) {
			call := c.responds(object{"input": []any{message("user", "use the tool get_weather")}, "tools": []any{function("get_weather")}})
			c.item(call, "function_call")
		}},
		{"image-input", func(c *client) {
			c.completes(object{"input": []any{message("user", []any{
				object{"type": "input_text", "text": "what do you see"},
				object{"type": "input_image", "image_url": png},
			})}})
		}},
		{"multi-turn", func(c *client) {
			c.completes(object{"input": []any{
				message("user", "my name is Ada"), message("assistant", "hello Ada"), message("user", "what is my name"),
			}})
		}},
		{"compact-response", func(c *client) { c.compacts() }},
		{"compact-missing-model", func(c *client) {
			status, answer := c.post("/responses/compact", object{"input": []any{message("user", "a long story")}})
			if status != 400 && status != 422 {
				c.t.Errorf("%d: %v", status, answer)
			}
			if fault, ok := answer["error"].(object); !ok || fault["message"] == "" {
				c.t.Errorf("got %v", answer)
			}
		}},
		{"tool-calling-streaming", func(c *client) {
			final := c.stream(
				object{"input": []any{message("user", "use the tool get_weather")}, "tools": []any{function("get_weather")}},
				"response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.done", "response.output_item.done",
			)
			c.item(final, "function_call")
		}},
		{"function-call-roundtrip", func(c *client) {
			tools := []any{function("get_weather")}
			asked := message("user", "use the tool get_weather")
			call := c.item(c.responds(object{"input": []any{asked}, "tools": tools}), "function_call")
			told := object{"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
			c.completes(object{"input": []any{asked, call, told}, "tools": tools})
		}},
		{"file-input", func(c *client) {
			c.completes(object{"input": []any{message("user", []any{
				object{"type": "input_file", "filename": "page.pdf", "file_data": pdf},
				object{"type": "input_text", "text": "what does it say"},
			})}})
		}},
		{"previous-response-id", func(c *client) {
			first := c.completes(object{"input": "my name is Ada"})
			second := c.completes(object{"input": "what is my name", "previous_response_id": first["id"]})
			if second["previous_response_id"] != first["id"] {
				c.t.Errorf("continued from %v", second["previous_response_id"])
			}
		}},
	}
}

// responds asks for a response, which must be a valid one.
func (c *client) responds(members object) object {
	c.t.Helper()
	status, answer := c.post("/responses", c.ask(members))
	if status != http.StatusOK {
		c.t.Fatalf("%d: %v", status, answer)
	}
	if err := resource.check("response", answer); err != nil {
		c.t.Error(err)
	}
	if output, _ := answer["output"].([]any); len(output) == 0 {
		c.t.Errorf("no output: %v", answer)
	}
	return answer
}

// completes asks for a response that must be complete.
func (c *client) completes(members object) object {
	c.t.Helper()
	answer := c.responds(members)
	if answer["status"] != "completed" {
		c.t.Errorf("status %v", answer["status"])
	}
	return answer
}

// item returns the first item of a type in a response.
func (c *client) item(response object, kind string) object {
	c.t.Helper()
	output, _ := response["output"].([]any)
	i := slices.IndexFunc(output, func(item any) bool { return item.(object)["type"] == kind })
	if i < 0 {
		c.t.Fatalf("no %s in %v", kind, output)
	}
	return output[i].(object)
}

// compacts compacts a conversation and returns the window.
func (c *client) compacts() []any {
	c.t.Helper()
	status, answer := c.post("/responses/compact", c.ask(object{
		"input": []any{message("user", "a long story"), message("assistant", "indeed")}, "prompt_cache_key": "ada",
	}))
	if status != http.StatusOK || answer["object"] != "response.compaction" {
		c.t.Fatalf("%d: %v", status, answer)
	}
	// The window may repeat messages of the input, which have no ids.
	c.item(answer, "compaction")
	if err := checkKind("compaction", "compaction", answer); err != nil {
		c.t.Error(err)
	}
	return answer["output"].([]any)
}

// stream asks for a stream and returns the response at its end. All its events must be
// valid, and those of the types that are wanted must come.
func (c *client) stream(members object, want ...string) object {
	c.t.Helper()
	request := c.ask(members)
	request["stream"] = true
	resp := c.request(http.MethodPost, "/responses", request)
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(got, "text/event-stream") {
		c.t.Fatalf("%d, %s", resp.StatusCode, got)
	}
	var final object
	seen := map[string]bool{}
	r := bufio.NewReader(resp.Body)
	for {
		line, err := r.ReadBytes('\n')
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok && !bytes.HasPrefix(data, []byte("[DONE]")) {
			e := c.decode(data)
			if err := checkEvent(e, false); err != nil {
				c.t.Error(err)
			}
			seen[e["type"].(string)] = true
			switch e["type"] {
			case "response.completed", "response.failed", "response.incomplete":
				final = e["response"].(object)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	for _, kind := range want {
		if !seen[kind] {
			c.t.Errorf("no %s", kind)
		}
	}
	if final == nil {
		c.t.Fatalf("no end among %v", seen)
	}
	c.told(final)
	return final
}
