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

// TestToolChoiceOfSurfaces holds that each API is told in its own words what to call.
func TestToolChoiceOfSurfaces(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	const schema = `{"type":"object","properties":{"a":{"type":"string"}}}`
	forms := []struct {
		path, body            string            // with %TOOLS% and %TEXT%
		tools                 string            // with the choice at its end
		choices               map[string]string // by auto, none, any, second
		called, first, second string            // what an answer has that calls
	}{
		{
			path: "/v1/messages", body: `{"model":"claude-haiku-4-5","max_tokens":100,%TOOLS%"messages":[{"role":"user","content":"%TEXT%"}]}`,
			tools: `"tools":[{"name":"first","input_schema":` + schema + `},{"name":"second","input_schema":` + schema + `}],%CHOICE%`,
			choices: map[string]string{
				"auto": `"tool_choice":{"type":"auto"},`, "none": `"tool_choice":{"type":"none"},`,
				"any": `"tool_choice":{"type":"any"},`, "second": `"tool_choice":{"type":"tool","name":"second"},`,
				"single": `"tool_choice":{"type":"auto","disable_parallel_tool_use":true},`,
			},
			called: `"stop_reason":"tool_use"`, first: `"name":"first"`, second: `"name":"second"`,
		},
		{
			path: geminiPath + ":generateContent", body: `{%TOOLS%"contents":[{"role":"user","parts":[{"text":"%TEXT%"}]}]}`,
			tools: `"tools":[{"function_declarations":[{"name":"first","parameters_json_schema":` + schema + `},{"name":"second"}]}],%CHOICE%`,
			choices: map[string]string{
				"auto": `"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}},`, "none": `"toolConfig":{"functionCallingConfig":{"mode":"NONE"}},`,
				"any":    `"toolConfig":{"functionCallingConfig":{"mode":"ANY"}},`,
				"second": `"tool_config":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["second"]}},`,
			},
			called: `"functionCall"`, first: `"name": "first"`, second: `"name": "second"`,
		},
		{
			path: "/model/" + claudeID + "/converse", body: `{%TOOLS%"messages":[{"role":"user","content":[{"text":"%TEXT%"}]}]}`,
			tools: `"toolConfig":{"tools":[{"toolSpec":{"name":"first","inputSchema":{"json":` + schema + `}}},{"cachePoint":{"type":"default"}},{"toolSpec":{"name":"second","inputSchema":{"json":{}}}}]%CHOICE%},`,
			choices: map[string]string{
				"auto": `,"toolChoice":{"auto":{}}`, "any": `,"toolChoice":{"any":{}}`, "second": `,"toolChoice":{"tool":{"name":"second"}}`,
			},
			called: `"stopReason":"tool_use"`, first: `"name":"first"`, second: `"name":"second"`,
		},
		{
			path: "/v2/chat", body: `{"model":"command-r7b-12-2024",%TOOLS%"messages":[{"role":"user","content":"%TEXT%"}]}`,
			tools:   `"tools":[{"type":"function","function":{"name":"first","parameters":` + schema + `}},{"type":"function","function":{"name":"second"}}],%CHOICE%`,
			choices: map[string]string{"auto": "", "none": `"tool_choice":"NONE",`, "any": `"tool_choice":"REQUIRED",`},
			called:  `"finish_reason":"TOOL_CALL"`, first: `"name":"first"`, second: `"name":"second"`,
		},
	}
	for _, tt := range []struct {
		choice, text  string
		first, second bool
	}{
		{"auto", "hello", false, false},
		{"auto", "use a tool", true, false},
		{"auto", "first and second", true, true},
		{"none", "first and second", false, false},
		{"any", "hello", true, false},
		{"second", "hello", false, true},
		{"single", "first and second", true, false},
	} {
		for _, f := range forms {
			choice, ok := f.choices[tt.choice]
			if !ok {
				continue
			}
			body := strings.NewReplacer("%TOOLS%", strings.Replace(f.tools, "%CHOICE%", choice, 1), "%TEXT%", tt.text).Replace(f.body)
			got := p.whole(p.ask(f.path, body, ""))
			if strings.Contains(got, f.called) != (tt.first || tt.second) ||
				strings.Contains(got, f.first) != tt.first || strings.Contains(got, f.second) != tt.second {
				t.Errorf("%s, %s, %q: got %s", f.path, tt.choice, tt.text, got)
			}
		}
	}
}
