package openaigo

import (
	"testing"

	"github.com/openai/openai-go/v3"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
)

const instruct = "gpt-3.5-turbo-instruct"

func TestCompletions(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		got, err := s.Completions.New(s.T.Context(), openai.CompletionNewParams{
			Model: openai.CompletionNewParamsModel(s.Model(instruct)), N: openai.Int(2),
			Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{"one and", "two"}},
		})
		s.Do(err)
		s.Hear(got.RawJSON())
		want := []string{"You said: one and", "You said: one and", "You said: two", "You said: two"}
		if len(got.Choices) != len(want) {
			s.T.Fatalf("%d choices, want %d", len(got.Choices), len(want))
		}
		for i, c := range got.Choices {
			if c.Text != want[i] || c.FinishReason != openai.CompletionChoiceFinishReasonStop {
				s.T.Errorf("choice %d says %q (%s), want %q", i, c.Text, c.FinishReason, want[i])
			}
		}
		if u := got.Usage; u.PromptTokens != 3 || u.CompletionTokens != 14 || u.TotalTokens != 17 {
			s.T.Errorf("usage %s", u.RawJSON())
		}
		s.recorded(rig.Exchange{API: llmproxy.APICompletions, Model: instruct})
	})
}

func TestCompletionsStream(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{true, false} {
		scenario := func(s *session) {
			params := openai.CompletionNewParams{
				Model:  openai.CompletionNewParamsModel(s.Model(instruct)),
				Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("tell me one thing")},
			}
			if asked {
				params.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
			}
			text, reported := "", int64(0)
			for _, c := range listen(s, s.Completions.NewStreaming(s.T.Context(), params)) {
				switch {
				case len(c.Choices) == 1:
					text += c.Choices[0].Text
				case !asked:
					s.T.Errorf("a chunk without a choice: %s", c.RawJSON())
				}
				reported += c.Usage.CompletionTokens
			}
			if text != "You said: tell me one thing" {
				s.T.Errorf("got %q", text)
			}
			if want := map[bool]int64{true: 6}[asked]; reported != want {
				s.T.Errorf("%d tokens reported, want %d", reported, want)
			}
			s.recorded(rig.Exchange{API: llmproxy.APICompletions, Model: instruct, Transport: llmproxy.TransportSSE})
		}
		if asked {
			t.Run("usage asked for", func(t *testing.T) {
				t.Parallel()
				everywhere(t, everyEntry, scenario)
			})
			continue
		}
		for _, e := range everyEntry {
			t.Run("usage not asked for/"+e.Name, func(t *testing.T) {
				t.Parallel()
				s := newRig(t).session(e.Base, e.Prefix)
				scenario(s)
				s.Settled()
			})
		}
	}
}
