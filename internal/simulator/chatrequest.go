package simulator

import (
	"errors"
	"slices"
	"strings"
)

// chatRequest is what matters of a request to Chat Completions.
type chatRequest struct {
	common
	prompt  prompt
	choices int
}

type chatMessage struct {
	Role      string  `json:"role"`
	Content   content `json:"content"`
	ToolCalls []struct {
		Function struct {
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

func parseChat(body []byte) (*chatRequest, error) {
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
	req := &chatRequest{common: c, choices: 1}
	p := &req.prompt
	p.model, p.parallel = c.model, true
	var messages []chatMessage
	var tools []struct {
		Type     string `json:"type"`
		Function tool   `json:"function"`
	}
	var maxTokens, maxCompletion int64
	choice, choiceErr := f.toolChoice()
	err = errors.Join(
		f.read("messages", &messages),
		f.read("tools", &tools),
		choiceErr,
		f.read("parallel_tool_calls", &p.parallel),
		f.read("n", &req.choices),
		f.read("max_tokens", &maxTokens),
		f.read("max_completion_tokens", &maxCompletion),
	)
	switch {
	case err != nil:
		return nil, first(err)
	case f["messages"] == nil:
		return nil, missing("messages")
	case len(messages) == 0:
		return nil, badRequest("empty_array", "messages", "'messages' must hold at least one message.")
	case req.choices < 1 || req.choices > 128:
		return nil, badRequest("invalid_value", "n", "'n' must be between 1 and 128.")
	case maxTokens < 0 || maxCompletion < 0:
		return nil, badRequest("invalid_value", "max_completion_tokens", "A limit of tokens must be positive.")
	case maxTokens > 0 && refusesMaxTokens(c.model):
		return nil, badRequest("unsupported_parameter", "max_tokens",
			"'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
	}
	p.choice = choice
	p.limit = max(maxTokens, maxCompletion)
	for _, t := range tools {
		if t.Type == "function" {
			p.tools = append(p.tools, t.Function)
		}
	}
	for i := range messages {
		p.add(&messages[i])
	}
	return req, nil
}

// add counts m and takes its text for the one to answer, unless it is an instruction.
func (p *prompt) add(m *chatMessage) {
	p.tokens += CountTokens(m.Content.text)
	for _, c := range m.ToolCalls {
		p.tokens += 1 + CountTokens(c.Function.Arguments)
	}
	if m.Role == "user" || m.Role == "tool" || m.Role == "function" {
		p.last, p.asks = m.Content.text, m.Role == "user"
	}
}

// generate returns the choices, which are all the same.
func (r *chatRequest) generate(s *Script) []generation {
	return slices.Repeat([]generation{s.generate(&r.prompt)}, r.choices)
}

// refusesMaxTokens reports whether model insists on max_completion_tokens.
func refusesMaxTokens(model string) bool {
	return strings.HasPrefix(model, "gpt-5") ||
		len(model) > 1 && model[0] == 'o' && '0' <= model[1] && model[1] <= '9'
}
