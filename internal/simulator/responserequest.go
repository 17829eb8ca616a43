package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// CompactionTokens is what a compacted conversation counts, as output and as input.
const CompactionTokens = 16

// responseRequest is what matters of a request to Responses.
type responseRequest struct {
	common
	fields       fields // for the members that the answer repeats
	prompt       prompt // without what a previous response adds
	instructions int64  // tokens of the prompt that a next response does not inherit
	items        []json.RawMessage
	calls        []string // call ids of calls in the input
	outputs      []string // call ids of outputs in the input
	previous     string
	store        bool
	background   bool
	warmUp       bool // nothing is to be generated
}

// inputItem is an item of the input.
type inputItem struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	CallID    string          `json:"call_id"`
	Arguments string          `json:"arguments"`
	Output    content         `json:"output"`
}

// parseResponse reads the members that Responses, counting and compaction share.
func parseResponse(body []byte) (*responseRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	c, err := f.readCommon(false)
	if err != nil {
		return nil, err
	}
	req := &responseRequest{common: c, fields: f, store: true}
	p := &req.prompt
	p.model, p.parallel = c.model, true
	var instructions content
	var tools []struct {
		Type string `json:"type"`
		tool
	}
	var cache struct {
		Prewarm bool `json:"prewarm"`
	}
	choice, choiceErr := f.toolChoice()
	err = errors.Join(
		f.read("instructions", &instructions),
		f.read("tools", &tools),
		choiceErr,
		f.read("parallel_tool_calls", &p.parallel),
		f.read("max_output_tokens", &p.limit),
		f.read("previous_response_id", &req.previous),
		f.read("store", &req.store),
		f.read("background", &req.background),
		f.read("prompt_cache_options", &cache),
		req.readInput(digestOf("input", body)),
	)
	switch {
	case err != nil:
		return nil, first(err)
	case p.limit < 0 || f["max_output_tokens"] != nil && p.limit == 0:
		return nil, badRequest("integer_below_min_value", "max_output_tokens", "'max_output_tokens' must be positive.")
	case req.background && !req.store:
		return nil, badRequest("invalid_value", "background", "A background response must be stored.")
	}
	p.choice, req.warmUp = choice, cache.Prewarm
	req.instructions = CountTokens(instructions.text)
	p.tokens += req.instructions
	for _, t := range tools {
		if t.Type == "function" {
			p.tools = append(p.tools, t.tool)
		}
	}
	return req, nil
}

// requireInput refuses a request that gives the model nothing to answer.
func (r *responseRequest) requireInput() error {
	switch {
	case r.model == "":
		return missing("model")
	case len(r.items) > 0 || r.previous != "" || r.warmUp:
		return nil
	default:
		return missing("input")
	}
}

// readInput reads input: a text, or items.
func (r *responseRequest) readInput(d digest) error {
	raw := r.fields["input"]
	if !bytes.HasPrefix(raw, []byte("[")) {
		var text string
		if err := r.fields.read("input", &text); err != nil {
			return err
		}
		if raw != nil {
			return r.add(0, encode(map[string]string{"role": "user", "content": text}), d)
		}
		return nil
	}
	var items []json.RawMessage
	if err := r.fields.read("input", &items); err != nil {
		return err
	}
	for i, item := range items {
		if err := r.add(i, item, d); err != nil {
			return err
		}
	}
	return nil
}

// add counts the i-th item and keeps it in the form in which input_items lists it.
func (r *responseRequest) add(i int, raw json.RawMessage, d digest) error {
	var item inputItem
	var text content
	err := errors.New("no object")
	if bytes.HasPrefix(raw, []byte("{")) {
		err = json.Unmarshal(raw, &item)
	}
	if err == nil && item.Content != nil {
		err = json.Unmarshal(item.Content, &text)
	}
	if err != nil {
		return badRequest("invalid_value", fmt.Sprintf("input[%d]", i), "Invalid 'input[%d]'.", i)
	}
	p := &r.prompt
	switch {
	case item.Type == "message" || item.Type == "" && item.Role != "":
		p.tokens += CountTokens(text.text)
		if item.Role == "user" {
			p.last, p.asks = text.text, true
		}
		r.items = append(r.items, messageInput(&item, d.id("msg_", i)))
		return nil
	case item.Type == "function_call":
		p.tokens += 1 + CountTokens(item.Arguments)
		r.calls = append(r.calls, item.CallID)
	case item.Type == "function_call_output":
		p.tokens += CountTokens(item.Output.text)
		p.last, p.asks = item.Output.text, false
		r.outputs = append(r.outputs, item.CallID)
	case item.Type == "compaction":
		p.tokens += CompactionTokens
	}
	if item.ID == "" {
		raw = withID(raw, d.id("item_", i))
	}
	r.items = append(r.items, raw)
	return nil
}

// messageInput returns a message in its long form.
func messageInput(item *inputItem, id string) json.RawMessage {
	if item.ID != "" {
		id = item.ID
	}
	kind := "input_text"
	if item.Role == "assistant" {
		kind = "output_text"
	}
	parts := item.Content
	if bytes.HasPrefix(parts, []byte(`"`)) {
		parts = fmt.Appendf(nil, `[{"type":%q,"text":%s}]`, kind, item.Content)
	}
	return encode(struct {
		ID      string          `json:"id"`
		Type    string          `json:"type"`
		Status  string          `json:"status"`
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	}{id, "message", "completed", item.Role, parts})
}

// withID returns the object raw with an id before its other members.
func withID(raw json.RawMessage, id string) json.RawMessage {
	rest := bytes.TrimSpace(raw[1:])
	if bytes.HasPrefix(rest, []byte("}")) {
		return fmt.Appendf(nil, `{"id":%q}`, id)
	}
	return fmt.Appendf(nil, `{"id":%q,%s`, id, rest)
}
