package bedrockgo

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	bedrockdocument "github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
)

// document returns JSON as the SDK has it in its types.
func document(s *session, raw string) bedrockdocument.Interface {
	s.T.Helper()
	var v any
	s.Do(json.Unmarshal([]byte(raw), &v))
	return bedrockdocument.NewLazyDocument(v)
}

// schema is a JSON schema whose members have an order.
type schema struct {
	Type       string     `document:"type"`
	Required   []string   `document:"required"`
	Properties properties `document:"properties"`
}

type properties struct {
	City  property `document:"city"`
	Days  property `document:"days"`
	Exact property `document:"exact"`
	Zone  property `document:"zone"`
}

type property struct {
	Type string `document:"type"`
}

// function returns a tool that takes some of the properties.
func function(name string, required ...string) types.Tool {
	return &types.ToolMemberToolSpec{Value: types.ToolSpecification{
		Name: aws.String(name), Description: aws.String("A tool called " + name + "."),
		InputSchema: &types.ToolInputSchemaMemberJson{Value: bedrockdocument.NewLazyDocument(schema{
			"object", required, properties{property{"string"}, property{"integer"}, property{"integer"}, property{"string"}},
		})},
	}}
}

const askForTools = "call get_weather and get_time for Paris"

// The calls that the provider answers askForTools with.
var wantCalls = []string{
	`get_weather({"city":"call get_weather and get_time for Paris","days":1})`,
	`get_time({"exact":1,"zone":"call get_weather and get_time for Paris"})`,
}

// A conversation with tools: a thought where the model has them, two calls, their
// outputs, the answer. What the model signed goes back as it came.
func TestTools(t *testing.T) {
	t.Parallel()
	for _, model := range []string{nova, thinker} {
		for _, streamed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/streamed=%t", model, streamed), func(t *testing.T) {
				t.Parallel()
				everywhere(t, every, func(s *session) {
					q := question{model: model, input: bedrockruntime.ConverseInput{
						Messages: []types.Message{user(text(askForTools))},
						ToolConfig: &types.ToolConfiguration{Tools: []types.Tool{
							function("get_weather", "city", "days"), function("get_time", "exact", "zone"),
						}},
					}}
					expected := converses(model)
					if streamed {
						expected = conversesStream(model)
					}
					got := q.ask(s, streamed)
					s.recorded(expected, got, nil)

					var calls []string
					var results []types.ContentBlock
					signature := ""
					for _, block := range got.message.Content {
						switch block := block.(type) {
						case *types.ContentBlockMemberToolUse:
							input, err := block.Value.Input.MarshalSmithyDocument()
							s.Do(err)
							calls = append(calls, *block.Value.Name+"("+string(input)+")")
							results = append(results, &types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{
								ToolUseId: block.Value.ToolUseId,
								Content:   []types.ToolResultContentBlock{&types.ToolResultContentBlockMemberText{Value: "the output of " + *block.Value.Name}},
							}})
						case *types.ContentBlockMemberReasoningContent:
							signature = *block.Value.(*types.ReasoningContentBlockMemberReasoningText).Value.Signature
						}
					}
					if !slices.Equal(calls, wantCalls) || got.stop != types.StopReasonToolUse || (signature != "") != (model == thinker) {
						s.T.Errorf("called %q (%s), signed %q, want %q", calls, got.stop, signature, wantCalls)
					}

					q.input.Messages = append(q.input.Messages, got.message, user(results...))
					got = q.ask(s, streamed)
					last := got.message.Content[len(got.message.Content)-1].(*types.ContentBlockMemberText)
					if want := "You said: the output of get_weather the output of get_time"; last.Value != want {
						s.T.Errorf("got %q, want %q", last.Value, want)
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
	everywhere(t, every, func(s *session) {
		q := question{model: sonnet, input: bedrockruntime.ConverseInput{
			Messages: []types.Message{user(text("what time is it"))},
			ToolConfig: &types.ToolConfiguration{
				Tools:      []types.Tool{function("get_weather", "city", "days"), function("get_time", "exact", "zone")},
				ToolChoice: &types.ToolChoiceMemberTool{Value: types.SpecificToolChoice{Name: aws.String("get_time")}},
			},
		}}
		got := q.ask(s, true)
		if call, ok := got.message.Content[0].(*types.ContentBlockMemberToolUse); !ok || len(got.message.Content) != 1 || *call.Value.Name != "get_time" {
			s.T.Errorf("got %+v", got.message)
		}
		s.recorded(conversesStream(sonnet), got, nil)
	})
}
