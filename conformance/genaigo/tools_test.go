package genaigo

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genai"
)

// tools are two functions, described in Google's own way and by JSON schema.
func tools() []*genai.Tool {
	return []*genai.Tool{{FunctionDeclarations: []*genai.FunctionDeclaration{
		{
			Name: "get_weather", Description: "The weather of a city.",
			Parameters: &genai.Schema{
				Type: genai.TypeObject, Required: []string{"city", "days"},
				Properties: map[string]*genai.Schema{"city": {Type: genai.TypeString}, "days": {Type: genai.TypeInteger}},
			},
		},
		{
			Name: "get_time", Description: "The time in a zone.",
			ParametersJsonSchema: map[string]any{
				"type": "object", "required": []string{"exact", "zone"}, "additionalProperties": false,
				"properties": map[string]any{"zone": map[string]any{"type": "string"}, "exact": map[string]any{"type": "integer"}},
			},
		},
	}}}
}

const askForTools = "call get_weather and get_time for Paris"

// The calls that the provider answers askForTools with.
var wantCalls = []string{
	`get_weather({"city":"call get_weather and get_time for Paris","days":1})`,
	`get_time({"exact":1,"zone":"call get_weather and get_time for Paris"})`,
}

// A conversation with functions: two calls, their outputs, the answer. What the model
// signed goes back as it came; without it the third generation would refuse.
func TestTools(t *testing.T) {
	t.Parallel()
	for _, model := range []string{flash, thinker, third} {
		for _, streamed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/streamed=%t", model, streamed), func(t *testing.T) {
				t.Parallel()
				everywhere(t, every, "", func(s *session) {
					q := question{model: model, contents: genai.Text(askForTools), config: genai.GenerateContentConfig{Tools: tools()}}
					expected := s.completed(model)
					if streamed {
						expected = s.streamed(model)
					}
					got := q.ask(s, streamed)
					s.recorded(expected, got, nil)

					var calls []string
					answers := &genai.Content{Role: genai.RoleUser}
					signed := false
					for _, part := range got.Candidates[0].Content.Parts {
						signed = signed || len(part.ThoughtSignature) > 0
						if call := part.FunctionCall; call != nil {
							args, err := json.Marshal(call.Args)
							s.Do(err)
							calls = append(calls, call.Name+"("+string(args)+")")
							answer := genai.NewPartFromFunctionResponse(call.Name, map[string]any{"output": call.Name})
							answer.FunctionResponse.ID = call.ID
							answers.Parts = append(answers.Parts, answer)
							if (call.ID != "") != (model == third) {
								s.T.Errorf("the call has the id %q", call.ID)
							}
						}
					}
					if !slices.Equal(calls, wantCalls) || signed != (model != flash) {
						s.T.Errorf("called %q, signed: %t, want %q", calls, signed, wantCalls)
					}

					q.contents = append(q.contents, got.Candidates[0].Content, answers)
					got = q.ask(s, streamed)
					if want := `You said: {"output":"get_weather"} {"output":"get_time"}`; !strings.HasSuffix(got.Text(), want) {
						s.T.Errorf("got %q, want %q", got.Text(), want)
					}
					s.recorded(expected, got, nil)
				})
			})
		}
	}
}

// A forced call.
func TestToolChoice(t *testing.T) {
	t.Parallel()
	everywhere(t, every, "", func(s *session) {
		q := question{model: flash, contents: genai.Text("what time is it"), config: genai.GenerateContentConfig{
			Tools: tools(),
			ToolConfig: &genai.ToolConfig{FunctionCallingConfig: &genai.FunctionCallingConfig{
				Mode: genai.FunctionCallingConfigModeAny, AllowedFunctionNames: []string{"get_time"},
			}},
		}}
		got := q.ask(s, true)
		if calls := got.FunctionCalls(); len(calls) != 1 || calls[0].Name != "get_time" || calls[0].Args["zone"] != "what time is it" {
			s.T.Errorf("called %+v", calls)
		}
		s.recorded(s.streamed(flash), got, nil)
	})
}
