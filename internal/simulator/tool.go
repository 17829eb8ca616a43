package simulator

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// tool is a function that a request offers.
type tool struct {
	Name       string          `json:"name"`
	Parameters json.RawMessage `json:"parameters"`
}

// toolCall is a call of one, with arguments in JSON.
type toolCall struct {
	name, arguments string
}

func (c *toolCall) tokens() int64 { return 1 + CountTokens(c.arguments) }

// calls returns the calls with which p is answered; none if a text will do.
func (p *prompt) calls() []toolCall {
	if len(p.tools) == 0 || p.choice == "none" {
		return nil
	}
	if name, ok := strings.CutPrefix(p.choice, "="); ok {
		for _, t := range p.tools {
			if t.Name == name {
				return []toolCall{t.call(p.last)}
			}
		}
		return nil
	}
	var calls []toolCall
	for _, t := range p.tools {
		if p.asks && t.Name != "" && strings.Contains(p.last, t.Name) {
			calls = append(calls, t.call(p.last))
		}
	}
	if len(calls) == 0 && (p.choice == "required" || p.asks && hasWord(p.last, "tool")) {
		calls = []toolCall{p.tools[0].call(p.last)}
	}
	if !p.parallel && len(calls) > 1 {
		calls = calls[:1]
	}
	return calls
}

func hasWord(text, want string) bool {
	for word := range strings.FieldsSeq(text) {
		if strings.EqualFold(strings.Trim(word, ".,:;!?\"'"), want) {
			return true
		}
	}
	return false
}

// call returns a call of t whose arguments fit a simple schema: each required parameter
// (each, where none is), by name; a string holds the first eight words of the prompt.
func (t *tool) call(prompt string) toolCall {
	var schema struct {
		Properties map[string]property `json:"properties"`
		Required   []string            `json:"required"`
	}
	// A schema of another shape has no parameters that we could fill in.
	_ = json.Unmarshal(t.Parameters, &schema)
	names := schema.Required
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(schema.Properties))
	}
	arguments := map[string]any{} // encoded in the order of its keys
	for _, name := range names {
		property := schema.Properties[name]
		arguments[name] = property.example(prompt)
	}
	return toolCall{name: t.Name, arguments: string(encode(arguments))}
}

// property is the part of a JSON schema that says what a parameter may be.
type property struct {
	Type any   `json:"type"`
	Enum []any `json:"enum"`
}

func (p *property) example(prompt string) any {
	if len(p.Enum) > 0 {
		return p.Enum[0]
	}
	kind := p.Type
	if kinds, ok := kind.([]any); ok && len(kinds) > 0 {
		kind = kinds[0]
	}
	if name, ok := kind.(string); ok {
		kind = strings.ToLower(name) // Google writes STRING
	}
	switch kind {
	case "integer", "number":
		return 1
	case "boolean":
		return true
	case "array":
		return []any{}
	case "object":
		return map[string]any{}
	case "null":
		return nil
	default:
		words := strings.Fields(prompt)
		return strings.Join(words[:min(8, len(words))], " ")
	}
}

// argumentDeltas cuts arguments into pieces of about eight bytes, never inside a rune.
func argumentDeltas(arguments string) []string {
	var parts []string
	for arguments != "" {
		end := min(8, len(arguments))
		for end < len(arguments) && !utf8.RuneStart(arguments[end]) {
			end++
		}
		parts = append(parts, arguments[:end])
		arguments = arguments[end:]
	}
	return parts
}
