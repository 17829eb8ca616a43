package simulator_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

func TestToolChoice(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct {
		last, more string
		want       string // the names of the tools that are called
	}{
		{`{"role":"user","content":"hello"}`, ``, ""},
		{`{"role":"user","content":"a Tool, please"}`, ``, "find"},
		{`{"role":"user","content":"send it"}`, ``, "send"},
		{`{"role":"user","content":"find and send"}`, ``, "find send"},
		{`{"role":"user","content":"find and send"}`, `,"parallel_tool_calls":false`, "find"},
		{`{"role":"user","content":"send it"}`, `,"tool_choice":"none"`, ""},
		{`{"role":"user","content":"hello"}`, `,"tool_choice":"required"`, "find"},
		{`{"role":"user","content":"hello"}`, `,"tool_choice":{"type":"function","function":{"name":"send"}}`, "send"},
		{`{"role":"user","content":"hello"}`, `,"tool_choice":{"type":"function","function":{"name":"other"}}`, ""},
		{`{"role":"tool","tool_call_id":"c","content":"send it with a tool"}`, ``, ""},
	} {
		got := p.whole(p.post("/v1/chat/completions", `{"model":"gpt-5-mini","messages":[`+tt.last+`]`+tt.more+
			`,"tools":[{"type":"function","function":{"name":"find"}},{"type":"function","function":{"name":"send"}}]}`, ""))
		var c struct {
			Choices []struct {
				Message struct {
					Content   *string
					ToolCalls []struct {
						ID       string
						Function struct{ Name, Arguments string }
					} `json:"tool_calls"`
				}
				FinishReason string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte(got), &c); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, call := range c.Choices[0].Message.ToolCalls {
			names = append(names, call.Function.Name)
			if call.Function.Arguments != "{}" || !strings.HasPrefix(call.ID, "call_") {
				t.Errorf("a call of %+v", call)
			}
		}
		if called := strings.Join(names, " "); called != tt.want {
			t.Errorf("%s%s: called %q, want %q", tt.last, tt.more, called, tt.want)
		}
		if (c.Choices[0].FinishReason == "tool_calls") != (tt.want != "") || (c.Choices[0].Message.Content == nil) != (tt.want != "") {
			t.Errorf("%s%s: got %s", tt.last, tt.more, got)
		}
	}
}

func TestToolArguments(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct{ schema, want string }{
		{`null`, `{}`},
		{`true`, `{}`},
		{`{"type":"object","properties":{"b":{"type":"integer"},"a":{"type":"string"}}}`, `{"a":"use the tool ä","b":1}`},
		{`{"type":"object","properties":{"b":{"type":"integer"},"a":{"type":"string"}},"required":["b"]}`, `{"b":1}`},
		{
			`{"properties":{"a":{"enum":["x","y"]},"b":{"type":["boolean","null"]},"c":{"type":"array"},"d":{"type":"object"},"e":{"type":"null"},"f":{"type":"number"},"g":{}}}`,
			`{"a":"x","b":true,"c":[],"d":{},"e":null,"f":1,"g":"use the tool ä"}`,
		},
	} {
		for _, stream := range []string{"false", "true"} {
			got := p.whole(p.post("/v1/responses", `{"model":"gpt-5-mini","stream":`+stream+`,"input":"use the tool ä","tools":[`+
				`{"type":"function","name":"f","parameters":`+tt.schema+`}]}`, ""))
			raw, err := json.Marshal(tt.want)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got, `"arguments":`+string(raw)) {
				t.Errorf("%s: want arguments %s in %s", tt.schema, raw, got)
			}
		}
	}
}
