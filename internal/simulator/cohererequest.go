package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// cohereRequest is what matters of a request to Cohere's Chat.
type cohereRequest struct {
	prompt prompt
	stream bool
}

// foreignToCohere are members of other APIs, which Cohere refuses.
var foreignToCohere = [...]string{
	"max_completion_tokens", "stream_options", "n", "stop", "top_p", "top_k", "parallel_tool_calls",
	"message", "chat_history", "preamble", "system", "contents", "input",
}

type cohereMessage struct {
	Role      string        `json:"role"`
	Content   cohereContent `json:"content"`
	ToolCalls []struct {
		Function struct {
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

// cohereContent is a text, or parts that hold texts or documents.
type cohereContent struct{ text string }

func (c *cohereContent) UnmarshalJSON(raw []byte) error {
	if !bytes.HasPrefix(raw, []byte("[")) {
		var plain content
		err := plain.UnmarshalJSON(raw)
		c.text = plain.text
		return err
	}
	var parts []struct {
		Text     string `json:"text"`
		Document struct {
			Data json.RawMessage `json:"data"`
		} `json:"document"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return err
	}
	var texts []string
	for _, p := range parts {
		var data string
		switch {
		case p.Text != "":
			texts = append(texts, p.Text)
		case json.Unmarshal(p.Document.Data, &data) == nil:
			texts = append(texts, data)
		case p.Document.Data != nil:
			texts = append(texts, compact(p.Document.Data))
		}
	}
	c.text = strings.Join(texts, " ")
	return nil
}

func parseCohere(body []byte) (*cohereRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	for _, name := range foreignToCohere {
		if f[name] != nil {
			return nil, badRequest("", name, "'%s' is not a parameter of this API.", name)
		}
	}
	req := &cohereRequest{prompt: prompt{parallel: true}}
	p := &req.prompt
	var messages []cohereMessage
	var tools []struct {
		Function tool `json:"function"`
	}
	var choice string
	err = errors.Join(
		f.read("model", &p.model),
		f.read("stream", &req.stream),
		f.read("messages", &messages),
		f.read("tools", &tools),
		f.read("tool_choice", &choice),
		f.read("max_tokens", &p.limit),
	)
	switch {
	case err != nil:
		return nil, first(err)
	case p.model == "":
		return nil, missing("model")
	case len(messages) == 0:
		return nil, missing("messages")
	case p.limit < 0:
		return nil, badRequest("", "max_tokens", "A limit of tokens must be positive.")
	case choice != "" && choice != "REQUIRED" && choice != "NONE":
		return nil, badRequest("", "tool_choice", "tool_choice must be REQUIRED or NONE.")
	}
	p.choice = strings.ToLower(choice)
	for _, t := range tools {
		p.tools = append(p.tools, t.Function)
	}
	for i := range messages {
		m := &messages[i]
		p.tokens += CountTokens(m.Content.text)
		for _, c := range m.ToolCalls {
			p.tokens += 1 + CountTokens(c.Function.Arguments)
		}
		if m.Role == "user" || m.Role == "tool" {
			p.last, p.asks = m.Content.text, m.Role == "user"
		}
	}
	return req, nil
}

// cohereTexts is a request to Embed or to Rerank.
type cohereTexts struct {
	model  string
	texts  []string // documents, for Rerank
	query  string
	top    int
	length int
}

// tokens counts the texts.
func (r *cohereTexts) tokens() int64 {
	n := int64(0)
	for _, text := range r.texts {
		n += CountTokens(text)
	}
	return n
}

// searchUnits is what a rerank bills: one for each 100 documents, begun ones too.
func (r *cohereTexts) searchUnits() int64 { return int64(len(r.texts)+99) / 100 }

func parseCohereEmbed(body []byte) (*cohereTexts, error) {
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	req := &cohereTexts{length: dimensions}
	var kind string
	err = errors.Join(
		f.read("model", &req.model),
		f.read("texts", &req.texts),
		f.read("input_type", &kind),
		f.read("output_dimension", &req.length),
	)
	switch {
	case err != nil:
		return nil, first(err)
	case req.model == "":
		return nil, missing("model")
	case kind == "":
		return nil, missing("input_type")
	case len(req.texts) == 0 || len(req.texts) > 96:
		return nil, badRequest("", "texts", "texts must hold 1 to 96 texts.")
	case req.length < 1 || req.length > 4096:
		return nil, badRequest("", "output_dimension", "output_dimension must be between 1 and 4096.")
	}
	return req, nil
}

func parseRerank(body []byte) (*cohereTexts, error) {
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	req := &cohereTexts{}
	err = errors.Join(
		f.read("model", &req.model),
		f.read("query", &req.query),
		f.read("documents", &req.texts),
		f.read("top_n", &req.top),
	)
	switch {
	case err != nil:
		return nil, first(err)
	case req.model == "":
		return nil, missing("model")
	case req.query == "":
		return nil, missing("query")
	case len(req.texts) == 0:
		return nil, missing("documents")
	case req.top < 0:
		return nil, badRequest("", "top_n", "top_n must be positive.")
	}
	return req, nil
}
