package anthropicgo

import (
	"fmt"
	"slices"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
)

// function returns a tool with a string and another parameter.
func function(name, text, other string) anthropic.ToolUnionParam {
	return anthropic.ToolUnionParam{OfTool: &anthropic.ToolParam{
		Name: name, Description: anthropic.String("A tool called " + name + "."),
		InputSchema: anthropic.ToolInputSchemaParam{
			Properties: map[string]any{text: map[string]any{"type": "string"}, other: map[string]any{"type": "integer"}},
			Required:   []string{text, other},
		},
	}}
}

// The calls that the provider answers askForTools with.
const askForTools = "call get_weather and get_time for Paris"

var wantCalls = []string{
	`get_weather({"city":"call get_weather and get_time for Paris","days":1})`,
	`get_time({"exact":1,"zone":"call get_weather and get_time for Paris"})`,
}

// A conversation with tools: a thought where the model has them, two calls, their
// outputs, the answer. What the model signed goes back as it came.
func TestTools(t *testing.T) {
	t.Parallel()
	for _, model := range []string{sonnet, thinker} {
		for _, streamed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/streamed=%t", model, streamed), func(t *testing.T) {
				t.Parallel()
				everywhere(t, every, func(s *session) {
					params := anthropic.MessageNewParams{
						Model: s.Model(model), MaxTokens: 2048, Messages: user(askForTools),
						Tools: []anthropic.ToolUnionParam{function("get_weather", "city", "days"), function("get_time", "zone", "exact")},
					}
					if model == thinker {
						params.Thinking = anthropic.ThinkingConfigParamOfEnabled(1024)
					}
					message := s.say(model, params, streamed)
					var results []anthropic.ContentBlockParamUnion
					var calls []string
					signature := ""
					for _, block := range message.Content {
						switch block := block.AsAny().(type) {
						case anthropic.ToolUseBlock:
							calls = append(calls, block.Name+"("+string(block.Input)+")")
							results = append(results, anthropic.NewToolResultBlock(block.ID, "the output of "+block.Name, false))
						case anthropic.ThinkingBlock:
							signature = block.Signature
						}
					}
					if !slices.Equal(calls, wantCalls) || message.StopReason != "tool_use" || (signature != "") != (model == thinker) {
						s.T.Errorf("called %q (%s), signed %q, want %q", calls, message.StopReason, signature, wantCalls)
					}
					params.Messages = append(params.Messages, message.ToParam(), anthropic.NewUserMessage(results...))
					answer := s.say(model, params, streamed)
					last := answer.Content[len(answer.Content)-1]
					if want := "You said: the output of get_weather the output of get_time"; last.Text != want {
						s.T.Errorf("got %q, want %q", last.Text, want)
					}
					s.sent(signature)
				})
			})
		}
	}
}

// say asks for one message, and checks its record.
func (s *session) say(model string, params anthropic.MessageNewParams, streamed bool) *anthropic.Message {
	s.T.Helper()
	if streamed {
		got := accumulated(s, s.Messages.NewStreaming(s.T.Context(), params))
		s.recorded(s.streamed(model), got, nil)
		return got
	}
	got, err := s.Messages.New(s.T.Context(), params)
	s.Do(err)
	s.recorded(s.completed(model), got, nil)
	return got
}

// A forced call.
func TestToolChoice(t *testing.T) {
	t.Parallel()
	everywhere(t, every, func(s *session) {
		got := s.say(sonnet, anthropic.MessageNewParams{
			Model: s.Model(sonnet), MaxTokens: 100, Messages: user("what time is it"),
			Tools:      []anthropic.ToolUnionParam{function("get_weather", "city", "days"), function("get_time", "zone", "exact")},
			ToolChoice: anthropic.ToolChoiceParamOfTool("get_time"),
		}, true)
		if len(got.Content) != 1 || got.Content[0].Name != "get_time" || string(got.Content[0].Input) != `{"exact":1,"zone":"what time is it"}` {
			s.T.Errorf("got %s", got.RawJSON())
		}
	})
}
