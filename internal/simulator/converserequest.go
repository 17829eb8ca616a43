package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// converseRequest is what matters of a request to Converse.
type converseRequest struct {
	prompt prompt
	marks  cacheMarks
	config bool // tools were offered
}

type converseMessage struct {
	Role    string          `json:"role"`
	Content []converseBlock `json:"content"`
}

// converseBlock is a part of a message or of the system prompt.
type converseBlock struct {
	Text    *string `json:"text"`
	ToolUse *struct {
		ID    string          `json:"toolUseId"`
		Input json.RawMessage `json:"input"`
	} `json:"toolUse"`
	ToolResult *struct {
		ID      string `json:"toolUseId"`
		Content []struct {
			Text string          `json:"text"`
			JSON json.RawMessage `json:"json"`
		} `json:"content"`
	} `json:"toolResult"`
	CachePoint *cacheControl `json:"cachePoint"`
}

// result returns the text of a toolResult.
func (b *converseBlock) result() string {
	var parts []string
	for _, c := range b.ToolResult.Content {
		if c.JSON != nil {
			parts = append(parts, compact(c.JSON))
		} else if c.Text != "" {
			parts = append(parts, c.Text)
		}
	}
	return strings.Join(parts, " ")
}

// tokens counts b.
func (b *converseBlock) tokens() int64 {
	switch {
	case b.Text != nil:
		return CountTokens(*b.Text)
	case b.ToolUse != nil:
		return 1 + CountTokens(compact(b.ToolUse.Input))
	case b.ToolResult != nil:
		return CountTokens(b.result())
	default:
		return 0
	}
}

// parseConverse reads the body of a request to Converse. The model and whether the answer
// is a stream are in the path, and refused here.
func parseConverse(body []byte, model string) (*converseRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"model", "modelId", "stream"} {
		if f[name] != nil {
			return nil, badRequest("", name, "The member %s does not belong into the body.", name)
		}
	}
	req := &converseRequest{prompt: prompt{model: model, parallel: true}}
	var system []converseBlock
	var messages []converseMessage
	var config struct {
		MaxTokens *int64 `json:"maxTokens"`
	}
	err = errors.Join(
		f.read("system", &system),
		f.read("messages", &messages),
		f.read("inferenceConfig", &config),
		req.readTools(f),
	)
	switch {
	case err != nil:
		return nil, first(err)
	case len(messages) == 0:
		return nil, badRequest("", "messages", "The conversation must hold a message.")
	case config.MaxTokens != nil && *config.MaxTokens < 1:
		return nil, badRequest("", "inferenceConfig", "inferenceConfig.maxTokens must be at least 1.")
	case config.MaxTokens != nil:
		req.prompt.limit = *config.MaxTokens
	}
	if err := req.add(system, "system", "system"); err != nil {
		return nil, err
	}
	return req, req.addMessages(messages)
}

// readTools reads toolConfig.
func (r *converseRequest) readTools(f fields) error {
	var config *struct {
		Tools []struct {
			Spec *struct {
				Name   string `json:"name"`
				Schema struct {
					JSON json.RawMessage `json:"json"`
				} `json:"inputSchema"`
			} `json:"toolSpec"`
			CachePoint *cacheControl `json:"cachePoint"`
		} `json:"tools"`
		Choice struct {
			Auto *struct{} `json:"auto"`
			Any  *struct{} `json:"any"`
			Tool *struct {
				Name string `json:"name"`
			} `json:"tool"`
			None json.RawMessage `json:"none"` // there is no such choice
		} `json:"toolChoice"`
	}
	if err := f.read("toolConfig", &config); err != nil || config == nil {
		return err
	}
	p := &r.prompt
	r.config, p.choice = true, "auto"
	switch {
	case config.Choice.None != nil:
		return badRequest("", "toolConfig", "toolChoice must be auto, any or tool.")
	case config.Choice.Any != nil:
		p.choice = "required"
	case config.Choice.Tool != nil:
		p.choice = "=" + config.Choice.Tool.Name
	}
	if len(config.Tools) == 0 {
		return badRequest("", "toolConfig", "toolConfig.tools must hold at least one tool.")
	}
	for i, t := range config.Tools {
		if t.Spec != nil {
			if !bytes.HasPrefix(t.Spec.Schema.JSON, []byte("{")) {
				return badRequest("", "toolConfig", "toolConfig.tools.%d.toolSpec.inputSchema.json must be an object.", i)
			}
			p.tools = append(p.tools, tool{t.Spec.Name, t.Spec.Schema.JSON})
		}
		r.marks.add(t.CachePoint, p.tokens)
	}
	return nil
}

// addMessages counts the conversation, and holds that the user begins, that the roles
// alternate, and that each call has its result in the message after it.
func (r *converseRequest) addMessages(messages []converseMessage) error {
	var open []string // ids of the calls of the message before
	for i, m := range messages {
		if want := []string{"user", "assistant"}[i%2]; m.Role != want {
			return badRequest("", "messages", "messages.%d.role must be %s: the user begins, and roles alternate.", i, want)
		}
		if err := r.add(m.Content, m.Role, fmt.Sprintf("messages.%d", i)); err != nil {
			return err
		}
		var calls, results []string
		for j := range m.Content {
			b := &m.Content[j]
			switch {
			case b.ToolUse != nil && !(toolID.MatchString(b.ToolUse.ID) && len(b.ToolUse.ID) <= 64):
				return badRequest("", "messages", "messages.%d.content.%d.toolUse.toolUseId is not valid.", i, j)
			case b.ToolUse != nil:
				calls = append(calls, b.ToolUse.ID)
			case b.ToolResult != nil:
				results = append(results, b.ToolResult.ID)
			}
		}
		slices.Sort(results)
		slices.Sort(open)
		switch {
		case !slices.Equal(results, open) && m.Role == "user":
			return badRequest("", "messages", "messages.%d must hold the toolResult for each toolUse before it, and no other: %v, not %v.", i, open, results)
		case !r.config && len(calls)+len(results) > 0:
			return badRequest("", "toolConfig", "toolConfig is required where the conversation holds toolUse or toolResult.")
		}
		open = calls
	}
	return nil
}

// add counts the blocks of a message and takes its text for the one to answer, if the
// role is the user's.
func (r *converseRequest) add(blocks []converseBlock, role, at string) error {
	p := &r.prompt
	var words, results []string
	for j := range blocks {
		b := &blocks[j]
		if b.Text != nil && strings.TrimSpace(*b.Text) == "" {
			return badRequest("", "messages", "The text at %s.content.%d is blank.", at, j)
		}
		p.tokens += b.tokens()
		r.marks.add(b.CachePoint, p.tokens)
		switch {
		case b.Text != nil:
			words = append(words, *b.Text)
		case b.ToolResult != nil:
			results = append(results, b.result())
		}
	}
	if role == "user" {
		p.ask(words, results)
	}
	return nil
}
