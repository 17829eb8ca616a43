package simulator

import (
	"encoding/json"
	"iter"
	"net/http"
)

// chatCompletion is the answer of Chat Completions that is no stream.
type chatCompletion struct {
	ID                string           `json:"id"`
	Object            string           `json:"object"`
	Created           int64            `json:"created"`
	Model             string           `json:"model"`
	Choices           []chatChoice     `json:"choices"`
	Usage             *completionUsage `json:"usage,omitempty"`
	ServiceTier       string           `json:"service_tier"`
	SystemFingerprint string           `json:"system_fingerprint"`
	PromptFilters     []promptFilter   `json:"prompt_filter_results,omitempty"`
}

type chatChoice struct {
	Index        int             `json:"index"`
	Message      chatAnswer      `json:"message"`
	Logprobs     *struct{}       `json:"logprobs"`
	FinishReason string          `json:"finish_reason"`
	Filters      *contentFilters `json:"content_filter_results,omitempty"`
}

type chatAnswer struct {
	Role        string         `json:"role"`
	Content     *string        `json:"content"`
	ToolCalls   []chatToolCall `json:"tool_calls,omitempty"`
	Refusal     *string        `json:"refusal"`
	Annotations []struct{}     `json:"annotations"`
}

type chatToolCall struct {
	Index    *int             `json:"index,omitempty"` // in streams
	ID       string           `json:"id,omitempty"`
	Type     string           `json:"type,omitempty"`
	Function chatFunctionCall `json:"function"`
}

type chatFunctionCall struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

// chatChunk is one event of a stream.
type chatChunk struct {
	ID                string            `json:"id"`
	Object            string            `json:"object"`
	Created           int64             `json:"created"`
	Model             string            `json:"model"`
	ServiceTier       string            `json:"service_tier"`
	SystemFingerprint string            `json:"system_fingerprint"`
	Choices           []chatChunkChoice `json:"choices"`
	Usage             json.RawMessage   `json:"usage,omitempty"`
	XGroq             *xGroq            `json:"x_groq,omitempty"`
}

type chatChunkChoice struct {
	Index        int             `json:"index"`
	Delta        chatDelta       `json:"delta"`
	Logprobs     *struct{}       `json:"logprobs"`
	FinishReason *string         `json:"finish_reason"`
	Filters      *contentFilters `json:"content_filter_results,omitempty"`
}

type chatDelta struct {
	Role      string         `json:"role,omitempty"`
	Content   *string        `json:"content,omitempty"`
	ToolCalls []chatToolCall `json:"tool_calls,omitempty"`
}

const fingerprint = "fp_simulated"

func (s *Server) chat(c *call) (reply, error) {
	req, err := parseChat(c.body)
	if err != nil {
		return reply{}, err
	}
	model, err := s.model(req.model)
	if err != nil {
		return reply{}, err
	}
	a := &chatAnswers{call: c, req: req, model: model, answers: req.generate(&c.script)}
	switch {
	case req.stream:
		return streamReply(a.events()), nil
	case c.script.fails():
		return reply{}, scripted(http.StatusInternalServerError)
	default:
		return jsonReply(http.StatusOK, a.object()), nil
	}
}

// chatAnswers is all that an answer of Chat Completions is made of.
type chatAnswers struct {
	*call
	req     *chatRequest
	model   string
	answers []generation
}

func (a *chatAnswers) object() chatCompletion {
	object := chatCompletion{
		ID: a.digest.id("chatcmpl-", 0), Object: "chat.completion", Created: a.digest.time(),
		Model: a.model, ServiceTier: a.req.tier, SystemFingerprint: fingerprint,
		PromptFilters: a.promptFilters(),
	}
	for i := range a.answers {
		g := &a.answers[i]
		message := chatAnswer{Role: "assistant", Annotations: []struct{}{}}
		for j, tc := range g.calls {
			message.ToolCalls = append(message.ToolCalls, a.toolCall(i, j, tc))
		}
		if len(g.calls) == 0 {
			message.Content = new(g.text())
		}
		object.Choices = append(object.Choices, chatChoice{
			Index: i, Message: message, FinishReason: g.finishReason(), Filters: a.filters(),
		})
	}
	if a.script.Report != ReportNone {
		object.Usage = newCompletionUsage(a.script.usage(a.req.prompt.tokens, a.answers))
	}
	return object
}

// toolCall is the j-th call of the i-th answer.
func (a *chatAnswers) toolCall(i, j int, tc toolCall) chatToolCall {
	return chatToolCall{
		ID: a.digest.id("call_", 1000*i+j), Type: "function",
		Function: chatFunctionCall{Name: tc.name, Arguments: tc.arguments},
	}
}

// finishReason is why g ended, in the words of Chat Completions.
func (g *generation) finishReason() string {
	switch {
	case len(g.calls) > 0:
		return "tool_calls"
	case g.stopped:
		return "length"
	default:
		return "stop"
	}
}

// events returns the stream: for each choice its role, its text or calls, and its end;
// then the usage; then [DONE].
func (a *chatAnswers) events() iter.Seq[event] {
	return func(yield func(event) bool) {
		u := newUsageReporter(a.call, a.req.common, a.req.prompt.tokens, a.answers)
		emit := func(choice chatChunkChoice, words int64) bool {
			chunk := a.chunk()
			choice.Filters = a.filters()
			chunk.Choices = []chatChunkChoice{choice}
			chunk.Usage, chunk.XGroq = u.chunk(words, choice.FinishReason != nil)
			return yield(event{data: encode(chunk)})
		}
		if a.api == Azure {
			prelude := azurePrelude{Choices: []struct{}{}, PromptFilters: a.promptFilters()}
			if !yield(event{data: encode(prelude)}) {
				return
			}
		}
		for i := range a.answers {
			if !a.choice(i, emit) {
				return
			}
		}
		for _, e := range u.tail(&a.script, a.usageChunk) {
			if !yield(e) {
				return
			}
		}
	}
}

// usageChunk is a chunk with usage alone; its choices may be null.
func (a *chatAnswers) usageChunk(usage json.RawMessage, null bool) any {
	chunk := a.chunk()
	chunk.Usage = usage
	if !null {
		chunk.Choices = []chatChunkChoice{}
	}
	return chunk
}

func (a *chatAnswers) chunk() chatChunk {
	return chatChunk{
		ID: a.digest.id("chatcmpl-", 0), Object: "chat.completion.chunk", Created: a.digest.time(),
		Model: a.model, ServiceTier: a.req.tier, SystemFingerprint: fingerprint,
	}
}

// choice emits the chunks of the i-th answer, each with the number of tokens it holds.
func (a *chatAnswers) choice(i int, emit func(chatChunkChoice, int64) bool) bool {
	g := &a.answers[i]
	if !emit(chatChunkChoice{Index: i, Delta: chatDelta{Role: "assistant", Content: new("")}}, g.reasoning) {
		return false
	}
	for _, text := range g.deltas {
		if !emit(chatChunkChoice{Index: i, Delta: chatDelta{Content: &text}}, 1) {
			return false
		}
	}
	for j, tc := range g.calls {
		start := a.toolCall(i, j, tc)
		start.Index, start.Function.Arguments = new(j), ""
		tokens := 1 + CountTokens(tc.arguments)
		if !emit(chatChunkChoice{Index: i, Delta: chatDelta{ToolCalls: []chatToolCall{start}}}, tokens) {
			return false
		}
		for _, part := range argumentDeltas(tc.arguments) {
			delta := chatToolCall{Index: new(j), Function: chatFunctionCall{Arguments: part}}
			if !emit(chatChunkChoice{Index: i, Delta: chatDelta{ToolCalls: []chatToolCall{delta}}}, 0) {
				return false
			}
		}
	}
	if a.script.Unfinished || a.script.fails() {
		return true
	}
	return emit(chatChunkChoice{Index: i, FinishReason: new(g.finishReason())}, 0)
}
