package simulator

import (
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"slices"
)

// completionsRequest is what matters of a request to Completions.
type completionsRequest struct {
	common
	prompts []prompt
	choices int // of each prompt
}

// completion is an answer of Completions, and one event of a stream.
type completion struct {
	ID      string             `json:"id"`
	Object  string             `json:"object"`
	Created int64              `json:"created"`
	Model   string             `json:"model"`
	Choices []completionChoice `json:"choices"`
	Usage   json.RawMessage    `json:"usage,omitempty"`
	XGroq   *xGroq             `json:"x_groq,omitempty"`
}

type completionChoice struct {
	Index        int       `json:"index"`
	Text         string    `json:"text"`
	Logprobs     *struct{} `json:"logprobs"`
	FinishReason *string   `json:"finish_reason"`
}

func parseCompletions(body []byte) (*completionsRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	c, err := f.readCommon(true)
	if err != nil {
		return nil, err
	}
	if c.model == "" {
		return nil, missing("model")
	}
	req := &completionsRequest{common: c, choices: 1}
	var texts textInput
	var limit int64
	err = errors.Join(f.read("prompt", &texts), f.read("n", &req.choices), f.read("max_tokens", &limit))
	switch {
	case err != nil:
		return nil, first(err)
	case len(texts) == 0:
		return nil, missing("prompt")
	case len(texts) > 128:
		return nil, badRequest("array_above_max_length", "prompt", "'prompt' holds more than 128 texts.")
	case req.choices < 1 || req.choices > 128:
		return nil, badRequest("invalid_value", "n", "'n' must be between 1 and 128.")
	case limit < 0:
		return nil, badRequest("invalid_value", "max_tokens", "A limit of tokens must be positive.")
	}
	for _, t := range texts {
		req.prompts = append(req.prompts, prompt{model: c.model, tokens: t.tokens, last: t.text, limit: limit})
	}
	return req, nil
}

// tokens returns the length of all prompts.
func (r *completionsRequest) tokens() int64 {
	n := int64(0)
	for i := range r.prompts {
		n += r.prompts[i].tokens
	}
	return n
}

// generate returns the choices for each prompt; those for one prompt are all the same.
func (r *completionsRequest) generate(s *Script) []generation {
	var answers []generation
	for i := range r.prompts {
		answers = append(answers, slices.Repeat([]generation{s.generate(&r.prompts[i])}, r.choices)...)
	}
	return answers
}

func (s *Server) completions(c *call) (reply, error) {
	req, err := parseCompletions(c.body)
	if err != nil {
		return reply{}, err
	}
	model, err := s.model(req.model)
	if err != nil {
		return reply{}, err
	}
	a := &completionAnswers{call: c, req: req, model: model, answers: req.generate(&c.script)}
	switch {
	case req.stream:
		return streamReply(a.events()), nil
	case c.script.fails():
		return reply{}, scripted(http.StatusInternalServerError)
	default:
		return jsonReply(http.StatusOK, a.object()), nil
	}
}

// completionAnswers is all that an answer of Completions is made of.
type completionAnswers struct {
	*call
	req     *completionsRequest
	model   string
	answers []generation
}

func (a *completionAnswers) envelope() completion {
	return completion{
		ID: a.digest.id("cmpl-", 0), Object: "text_completion", Created: a.digest.time(), Model: a.model,
	}
}

func (a *completionAnswers) object() completion {
	object := a.envelope()
	for i := range a.answers {
		g := &a.answers[i]
		object.Choices = append(object.Choices, completionChoice{
			Index: i, Text: g.text(), FinishReason: new(g.finishReason()),
		})
	}
	if a.script.Report != ReportNone {
		object.Usage = encode(newCompletionUsage(a.script.usage(a.req.tokens(), a.answers)))
	}
	return object
}

// events returns the stream: for each choice its text and its end; then the usage; then
// [DONE].
func (a *completionAnswers) events() iter.Seq[event] {
	return func(yield func(event) bool) {
		u := newUsageReporter(a.call, a.req.common, a.req.tokens(), a.answers)
		emit := func(choice completionChoice, tokens int64) bool {
			chunk := a.envelope()
			chunk.Choices = []completionChoice{choice}
			chunk.Usage, chunk.XGroq = u.chunk(tokens, choice.FinishReason != nil)
			return yield(event{data: encode(chunk)})
		}
		for i := range a.answers {
			for _, text := range a.answers[i].deltas {
				if !emit(completionChoice{Index: i, Text: text}, 1) {
					return
				}
			}
			if a.script.Unfinished || a.script.fails() {
				continue
			}
			if !emit(completionChoice{Index: i, FinishReason: new(a.answers[i].finishReason())}, 0) {
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
func (a *completionAnswers) usageChunk(usage json.RawMessage, null bool) any {
	chunk := a.envelope()
	chunk.Usage = usage
	if !null {
		chunk.Choices = []completionChoice{}
	}
	return chunk
}
