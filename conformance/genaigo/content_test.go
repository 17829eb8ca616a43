package genaigo

import (
	"iter"
	"strings"
	"testing"

	"google.golang.org/genai"

	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// question is a request, and what the provider's rules say about its answer.
type question struct {
	name     string
	model    string
	contents []*genai.Content
	config   genai.GenerateContentConfig
	text     string
	finish   genai.FinishReason
	usage    simulator.Usage
}

func questions() []question {
	long := strings.TrimSpace(strings.Repeat("word ", 1100))
	return []question{
		{
			name: "one message", model: flash, contents: genai.Text("tell me one thing"),
			text: "You said: tell me one thing", finish: genai.FinishReasonStop,
			usage: simulator.Usage{Prompt: 4, Completion: 6},
		},
		{
			name: "history", model: flash,
			contents: []*genai.Content{
				genai.NewContentFromText("hello", genai.RoleUser), genai.NewContentFromText("You said: hello", genai.RoleModel),
				genai.NewContentFromParts([]*genai.Part{genai.NewPartFromText("<b>naïve</b> & 日本"), genai.NewPartFromText("again")}, genai.RoleUser),
			},
			config: genai.GenerateContentConfig{SystemInstruction: genai.NewContentFromText("be brief", genai.RoleUser)},
			text:   "You said: <b>naïve</b> & 日本 again", finish: genai.FinishReasonStop,
			usage: simulator.Usage{Prompt: 10, Completion: 6},
		},
		{
			name: "thinking", model: thinker, contents: genai.Text("why"),
			config: genai.GenerateContentConfig{ThinkingConfig: &genai.ThinkingConfig{IncludeThoughts: true, ThinkingBudget: genai.Ptr[int32](512)}},
			text:   "You said: why", finish: genai.FinishReasonStop,
			usage: simulator.Usage{Prompt: 1, Completion: 67, Reasoning: 64},
		},
		{
			name: "cached", model: flash, contents: genai.Text(long),
			text: "You said:" + strings.Repeat(" word", 32), finish: genai.FinishReasonStop,
			usage: simulator.Usage{Prompt: 1100, Cached: 1024, Completion: 34},
		},
		{
			name: "a limit", model: third, contents: genai.Text("count to a hundred"),
			config: genai.GenerateContentConfig{MaxOutputTokens: 3},
			text:   "You said: count", finish: genai.FinishReasonMaxTokens,
			usage: simulator.Usage{Prompt: 4, Completion: 3},
		},
	}
}

// ask asks q and returns the answer, put together where it is a stream.
func (q *question) ask(s *session, streamed bool) *genai.GenerateContentResponse {
	s.T.Helper()
	if streamed {
		return accumulated(s, s.Models.GenerateContentStream(s.T.Context(), s.Model(q.model), q.contents, &q.config))
	}
	got, err := s.Models.GenerateContent(s.T.Context(), s.Model(q.model), q.contents, &q.config)
	s.Do(err)
	return got
}

// accumulated is the answer that a stream adds up to: the parts of all chunks, and what
// the last one says of the whole.
func accumulated(s *session, stream iter.Seq2[*genai.GenerateContentResponse, error]) *genai.GenerateContentResponse {
	s.T.Helper()
	var whole *genai.GenerateContentResponse
	var parts []*genai.Part
	for chunk, err := range stream {
		s.Do(err)
		if len(chunk.Candidates) != 1 || chunk.UsageMetadata == nil {
			s.T.Fatalf("chunk %+v", chunk)
		}
		parts = append(parts, chunk.Candidates[0].Content.Parts...)
		whole = chunk
	}
	if whole == nil {
		s.T.Fatal("no chunk came")
	}
	whole.Candidates[0].Content.Parts = parts
	return whole
}

// answered checks what the SDK made of the answer.
func (q *question) answered(s *session, got *genai.GenerateContentResponse) {
	s.T.Helper()
	c := got.Candidates[0]
	text, thought, signature := "", "", ""
	for _, part := range c.Content.Parts {
		if part.Thought {
			thought += part.Text
		} else {
			text += part.Text
		}
		signature += string(part.ThoughtSignature)
	}
	if text != q.text || c.FinishReason != q.finish {
		s.T.Errorf("says %q (%s), want %q (%s)", text, c.FinishReason, q.text, q.finish)
	}
	if thinks := q.usage.Reasoning > 0; (thought == "Let me think about what was said.") != thinks || (len(signature) == 32) != (thinks || q.model == third) {
		s.T.Errorf("thinks %q, signed %q", thought, signature)
	}
	if got.ModelVersion != q.model || got.ResponseID == "" {
		s.T.Errorf("answer %q by %s, want one by %s", got.ResponseID, got.ModelVersion, q.model)
	}
	if u := told(got); *u != q.usage {
		s.T.Errorf("usage %+v, want %+v", *u, q.usage)
	}
}

// told is the usage that the SDK was told, with the totals that records have.
func told(r *genai.GenerateContentResponse) *simulator.Usage {
	u := r.UsageMetadata
	return &simulator.Usage{
		Prompt: int64(u.PromptTokenCount), Cached: int64(u.CachedContentTokenCount),
		Completion: int64(u.CandidatesTokenCount + u.ThoughtsTokenCount), Reasoning: int64(u.ThoughtsTokenCount),
	}
}

// recorded holds the next record against e, got and, if it is not nil, usage.
func (s *session) recorded(e rig.Exchange, got *genai.GenerateContentResponse, usage *simulator.Usage) {
	s.T.Helper()
	e.Usage, e.Told, e.Finish, e.ID = usage, told(got), string(got.Candidates[0].FinishReason), got.ResponseID
	s.Recorded(e)
}

// The table's counts are those that the provider reports.
func TestQuestionsAreCountedAsTheProviderDoes(t *testing.T) {
	t.Parallel()
	s := enter(t, setup(), byModel, "")
	for _, q := range questions() {
		got := q.ask(s, false)
		q.answered(s, got)
		s.recorded(s.completed(q.model), got, nil)
	}
	s.Settled()
}

func TestContent(t *testing.T) {
	t.Parallel()
	for _, q := range questions() {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, every, "", func(s *session) {
				got := q.ask(s, false)
				q.answered(s, got)
				s.recorded(s.completed(q.model), got, &q.usage)
			})
		})
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	for _, q := range questions() {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, every, "", func(s *session) {
				got := q.ask(s, true)
				q.answered(s, got)
				s.recorded(s.streamed(q.model), got, &q.usage)
			})
		})
	}
}

// However a stream's bytes look, the SDK hears what it hears from the provider.
func TestStreamForms(t *testing.T) {
	t.Parallel()
	q := questions()[2]
	for _, script := range []string{
		"piece", "piece=7", "eol=lf", "eol=lf,piece=3", "no-space", "gzip", "close-delimited", "trailers", "cookies,hop-by-hop",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			everywhere(t, some, script, func(s *session) {
				got := q.ask(s, true)
				q.answered(s, got)
				s.recorded(s.streamed(q.model), got, &q.usage)
			})
		})
	}
}

// A stream may be long, an event large.
func TestLargeStream(t *testing.T) {
	t.Parallel()
	q := questions()[0]
	for script, tokens := range map[string]int64{"huge": 7, "events=2000": 2000} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			everywhere(t, some, script, func(s *session) {
				s.recorded(s.streamed(q.model), q.ask(s, true), &simulator.Usage{Prompt: 4, Completion: tokens})
			})
		})
	}
}

// A conversation of streamed turns: the SDK's helper keeps each chunk as a turn of its own.
func TestChat(t *testing.T) {
	t.Parallel()
	for _, model := range []string{flash, thinker, third} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			everywhere(t, every, "", func(s *session) {
				chat, err := s.Chats.Create(s.T.Context(), s.Model(model), &genai.GenerateContentConfig{
					ThinkingConfig: &genai.ThinkingConfig{IncludeThoughts: true},
				}, nil)
				s.Do(err)
				for _, text := range []string{"tell me one thing", "and another"} {
					got := accumulated(s, chat.SendMessageStream(s.T.Context(), genai.Part{Text: text}))
					if !strings.HasSuffix(got.Text(), "You said: "+text) {
						s.T.Errorf("got %q, want %q", got.Text(), text)
					}
					s.recorded(s.streamed(model), got, nil)
				}
			})
		})
	}
}
