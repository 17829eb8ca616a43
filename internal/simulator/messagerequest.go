package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// messageRequest is what matters of a request to Anthropic's Messages, or to those who
// resell them.
type messageRequest struct {
	prompt  prompt
	marks   cacheMarks
	model   string // as asked for
	stream  bool
	version string // anthropic_version of the body
}

// foreignToMessages are members of other APIs, which Messages refuses; the real one
// refuses all that it does not know.
var foreignToMessages = [...]string{
	"max_completion_tokens", "stream_options", "frequency_penalty", "presence_penalty", "logit_bias", "n",
	"stop", "response_format", "parallel_tool_calls", "reasoning_effort", "reasoning", "seed", "user",
	"logprobs", "top_logprobs", "store", "input", "instructions", "max_output_tokens", "modelId",
	"contents", "generationConfig", "systemInstruction", "inferenceConfig", "toolConfig", "prompt_cache_key",
}

// cacheControl marks the end of what is to be cached.
type cacheControl struct {
	Type string `json:"type"`
	TTL  string `json:"ttl"`
}

// message is one of a conversation.
type message struct {
	Role    string        `json:"role"`
	Content messageBlocks `json:"content"`
}

// messageBlock is a part of a message or of the system prompt.
type messageBlock struct {
	Type         string          `json:"type"`
	Text         string          `json:"text"`
	ID           string          `json:"id"`
	Input        json.RawMessage `json:"input"`
	ToolUseID    string          `json:"tool_use_id"`
	Content      json.RawMessage `json:"content"`
	CacheControl *cacheControl   `json:"cache_control"`
}

// messageBlocks may come as a text.
type messageBlocks []messageBlock

func (b *messageBlocks) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte(`"`)) {
		*b = messageBlocks{{Type: "text"}}
		return json.Unmarshal(raw, &(*b)[0].Text)
	}
	return json.Unmarshal(raw, (*[]messageBlock)(b))
}

// result returns the text of a tool_result.
func (b *messageBlock) result() string {
	var c content
	// Blocks without text count nothing.
	_ = json.Unmarshal(b.Content, &c)
	return c.text
}

// tokens counts b.
func (b *messageBlock) tokens() int64 {
	switch b.Type {
	case "text":
		return CountTokens(b.Text)
	case "tool_use":
		return 1 + CountTokens(compact(b.Input))
	case "tool_result":
		return CountTokens(b.result())
	default:
		return 0
	}
}

// parseMessages reads the body of a request to Messages as via has it: Anthropic takes
// model and stream in the body, Vertex stream, Bedrock neither; the latter two take a
// version there. Of those, model is the path's.
func parseMessages(body []byte, via API, model string) (*messageRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	req := &messageRequest{model: model}
	if err := req.checkMembers(f, via); err != nil {
		return nil, err
	}
	p := &req.prompt
	var system messageBlocks
	var messages []message
	var automatic *cacheControl
	err = errors.Join(
		f.read("model", &req.model),
		f.read("stream", &req.stream),
		f.read("anthropic_version", &req.version),
		f.read("max_tokens", &p.limit),
		f.read("system", &system),
		f.read("messages", &messages),
		f.read("cache_control", &automatic),
		req.readTools(f),
	)
	switch {
	case err != nil:
		return nil, first(err)
	case via != Anthropic && req.version == "":
		return nil, missing("anthropic_version")
	case req.model == "":
		return nil, missing("model")
	case f["max_tokens"] != nil && p.limit < 1:
		return nil, badRequest("", "max_tokens", "max_tokens: must be at least 1.")
	case len(messages) == 0:
		return nil, badRequest("", "messages", "messages: at least one message is required.")
	}
	p.model = req.model
	if err := req.checkThinking(f); err != nil {
		return nil, err
	}
	if err := checkMessages(messages); err != nil {
		return nil, err
	}
	req.add(system, "system")
	for i := range messages {
		req.add(messages[i].Content, messages[i].Role)
	}
	if automatic != nil {
		req.marks.add(automatic, p.tokens)
	}
	if len(req.marks) > 4 {
		return nil, badRequest("", "cache_control", "At most 4 blocks may have cache_control, not %d.", len(req.marks))
	}
	return req, nil
}

// requireLimit refuses a request that is not only to be counted and has no limit.
func (r *messageRequest) requireLimit() error {
	if r.prompt.limit == 0 {
		return missing("max_tokens")
	}
	return nil
}

// checkMembers refuses members that do not belong into a body that comes via that way.
func (r *messageRequest) checkMembers(f fields, via API) error {
	foreign := foreignToMessages[:]
	switch via {
	case Vertex:
		if r.model != "" {
			foreign = append(foreign, "model") // else it counts, and the path names none
		}
		foreign = append(foreign, "anthropic_beta")
	case Bedrock:
		foreign = append(foreign, "model", "stream")
	default:
		foreign = append(foreign, "anthropic_version", "anthropic_beta")
	}
	for _, name := range foreign {
		if f[name] != nil {
			return badRequest("", name, "%s: not a member of this request.", name)
		}
	}
	return nil
}

// readTools reads tools and tool_choice.
func (r *messageRequest) readTools(f fields) error {
	var tools []struct {
		Type         string          `json:"type"`
		Name         string          `json:"name"`
		Schema       json.RawMessage `json:"input_schema"`
		CacheControl *cacheControl   `json:"cache_control"`
	}
	var choice struct {
		Type     string `json:"type"`
		Name     string `json:"name"`
		Disabled bool   `json:"disable_parallel_tool_use"`
	}
	if err := errors.Join(f.read("tools", &tools), f.read("tool_choice", &choice)); err != nil {
		return first(err)
	}
	p := &r.prompt
	p.parallel = !choice.Disabled
	switch choice.Type {
	case "none":
		p.choice = "none"
	case "any":
		p.choice = "required"
	case "tool":
		p.choice = "=" + choice.Name
	case "auto", "":
		p.choice = "auto"
	default:
		return badRequest("", "tool_choice", "tool_choice.type: must be auto, any, tool or none.")
	}
	for i, t := range tools {
		if t.Type == "" || t.Type == "custom" {
			if !bytes.HasPrefix(t.Schema, []byte("{")) {
				return badRequest("", "tools", "tools.%d.input_schema: an object is required.", i)
			}
			p.tools = append(p.tools, tool{t.Name, t.Schema})
		}
		r.marks.add(t.CacheControl, p.tokens)
	}
	return nil
}

// checkThinking refuses what does not go together with thinking.
func (r *messageRequest) checkThinking(f fields) error {
	var thinking struct {
		Type   string `json:"type"`
		Budget int64  `json:"budget_tokens"`
	}
	if err := f.read("thinking", &thinking); err != nil || thinking.Type != "enabled" {
		return err
	}
	choice := r.prompt.choice
	switch {
	case thinking.Budget < 1024:
		return badRequest("", "thinking", "thinking.budget_tokens: must be at least 1024.")
	case f["max_tokens"] != nil && r.prompt.limit <= thinking.Budget:
		return badRequest("", "max_tokens", "max_tokens must be greater than thinking.budget_tokens.")
	case choice == "required" || strings.HasPrefix(choice, "="):
		return badRequest("", "tool_choice", "Thinking cannot be enabled where tool_choice forces a call.")
	}
	return nil
}

// add counts the blocks of a message and takes its text for the one to answer, if the
// role is the user's.
func (r *messageRequest) add(blocks messageBlocks, role string) {
	p := &r.prompt
	var words, results []string
	for i := range blocks {
		b := &blocks[i]
		p.tokens += b.tokens()
		r.marks.add(b.CacheControl, p.tokens)
		switch b.Type {
		case "text":
			words = append(words, b.Text)
		case "tool_result":
			results = append(results, b.result())
		}
	}
	if role == "user" {
		p.ask(words, results)
	}
}

// toolID is what Anthropic takes for the id of a call.
var toolID = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// checkMessages holds that the user begins, that no text is empty, and that the results
// of calls, and nothing else, come first in the message after them.
func checkMessages(messages []message) error {
	var open []string // ids of the calls of the message before
	begun := false
	for i := range messages {
		m := &messages[i]
		at := fmt.Sprintf("messages.%d", i)
		switch {
		case m.Role == "system":
			continue
		case m.Role != "user" && m.Role != "assistant":
			return badRequest("", "messages", "%s.role: must be user or assistant.", at)
		case !begun && m.Role != "user":
			return badRequest("", "messages", "messages: the first message must be the user's.")
		}
		begun = true
		results, calls, err := m.ids(at)
		if err != nil {
			return err
		}
		if m.Role == "user" {
			for _, id := range results {
				if !slices.Contains(open, id) {
					return badRequest("", "messages", "%s: a tool_result is for no tool_use of the message before: %s.", at, id)
				}
			}
			for _, id := range open {
				if !slices.Contains(results, id) {
					return badRequest("", "messages", "%s: no tool_result for the tool_use of the message before: %s.", at, id)
				}
			}
		}
		open = calls
	}
	return nil
}

// ids returns the ids of the results and the calls in m.
func (m *message) ids(at string) (results, calls []string, err error) {
	for j := range m.Content {
		b := &m.Content[j]
		switch b.Type {
		case "text":
			if b.Text == "" {
				return nil, nil, badRequest("", "messages", "%s.content.%d: a text must not be empty.", at, j)
			}
		case "tool_use":
			if !toolID.MatchString(b.ID) {
				return nil, nil, badRequest("", "messages", "%s.content.%d.tool_use.id: must match %s.", at, j, toolID)
			}
			if !bytes.HasPrefix(b.Input, []byte("{")) {
				return nil, nil, badRequest("", "messages", "%s.content.%d.tool_use.input: must be an object.", at, j)
			}
			calls = append(calls, b.ID)
		case "tool_result":
			if len(results) != j {
				return nil, nil, badRequest("", "messages", "%s.content.%d: a tool_result must come first.", at, j)
			}
			results = append(results, b.ToolUseID)
		}
	}
	return results, calls, nil
}
