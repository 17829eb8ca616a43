package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// CachedContentTokens is what a cachedContent adds to the prompt of a request to Gemini.
const CachedContentTokens = 2048

// geminiMembers are the members of a request to generateContent; others are refused.
var geminiMembers = [...]string{
	"contents", "systemInstruction", "tools", "toolConfig", "safetySettings", "generationConfig",
	"cachedContent", "serviceTier", "store", "labels", "modelArmorConfig",
}

// geminiRequest is what matters of a request to generateContent.
type geminiRequest struct {
	prompt   prompt
	thoughts bool // are shown
}

// many is a list that may come as its only element.
type many[T any] []T

func (m *many[T]) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte("{")) {
		*m = make([]T, 1)
		return json.Unmarshal(raw, &(*m)[0])
	}
	return json.Unmarshal(raw, (*[]T)(m))
}

type geminiTurn struct {
	Role  string               `json:"role"`
	Parts many[geminiTurnPart] `json:"parts"`
}

// geminiTurnPart is a part of a request. Google takes each name in camel and snake case.
type geminiTurnPart struct {
	Text             string              `json:"text"`
	Thought          bool                `json:"thought"`
	Signature        string              `json:"thoughtSignature"`
	SnakeSignature   string              `json:"thought_signature"`
	FunctionCall     *geminiTurnCall     `json:"functionCall"`
	SnakeCall        *geminiTurnCall     `json:"function_call"`
	FunctionResponse *geminiTurnResponse `json:"functionResponse"`
	SnakeResponse    *geminiTurnResponse `json:"function_response"`
}

type geminiTurnCall struct {
	Name string          `json:"name"`
	Args json.RawMessage `json:"args"`
}

type geminiTurnResponse struct {
	Name     string          `json:"name"`
	Response json.RawMessage `json:"response"`
}

type geminiTool struct {
	Functions      []geminiFunction `json:"functionDeclarations"`
	SnakeFunctions []geminiFunction `json:"function_declarations"`
}

type geminiFunction struct {
	Name            string          `json:"name"`
	Parameters      json.RawMessage `json:"parameters"`
	JSONSchema      json.RawMessage `json:"parametersJsonSchema"`
	SnakeJSONSchema json.RawMessage `json:"parameters_json_schema"`
}

// parseGemini reads the body of a request to generateContent.
func parseGemini(body []byte, model string) (*geminiRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	if f, err = f.camel(geminiMembers[:]); err != nil {
		return nil, err
	}
	req := &geminiRequest{prompt: prompt{model: model, parallel: true}, thoughts: true}
	p := &req.prompt
	var turns many[geminiTurn]
	var system geminiTurn
	var tools many[geminiTool]
	var config struct {
		MaxOutputTokens int64 `json:"maxOutputTokens"`
		CandidateCount  int   `json:"candidateCount"`
		ThinkingConfig  struct {
			IncludeThoughts *bool `json:"includeThoughts"`
		} `json:"thinkingConfig"`
	}
	var toolConfig struct {
		Calling struct {
			Mode    string   `json:"mode"`
			Allowed []string `json:"allowedFunctionNames"`
		} `json:"functionCallingConfig"`
	}
	err = errors.Join(
		f.read("contents", &turns),
		f.read("systemInstruction", &system),
		f.read("tools", &tools),
		f.read("toolConfig", &toolConfig),
		f.read("generationConfig", &config),
	)
	switch {
	case err != nil:
		return nil, first(err)
	case len(turns) == 0:
		return nil, badRequest("", "contents", "The member contents holds no turn.")
	case config.CandidateCount > 1:
		return nil, badRequest("", "generationConfig", "Only one candidate can be generated.")
	}
	p.limit = config.MaxOutputTokens
	p.choice = geminiChoice(toolConfig.Calling.Mode, toolConfig.Calling.Allowed)
	if show := config.ThinkingConfig.IncludeThoughts; show != nil {
		req.thoughts = *show
	}
	for i, t := range tools {
		if err := p.addGeminiTools(i, append(t.Functions, t.SnakeFunctions...)); err != nil {
			return nil, err
		}
	}
	if f["cachedContent"] != nil {
		p.tokens += CachedContentTokens
	}
	p.tokens += system.tokens()
	return req, req.addTurns(turns)
}

// camel returns f with its names in camel case; it refuses names that are not among
// known.
func (f fields) camel(known []string) (fields, error) {
	camel := fields{}
	for name, value := range f {
		words := strings.Split(name, "_")
		for i, word := range words[1:] {
			if word != "" {
				words[i+1] = strings.ToUpper(word[:1]) + word[1:]
			}
		}
		plain := strings.Join(words, "")
		if !slices.Contains(known, plain) {
			return nil, badRequest("", name, "Unknown name %q in the request.", name)
		}
		camel[plain] = value
	}
	return camel, nil
}

// geminiChoice returns a mode of function calling as prompt.choice has it.
func geminiChoice(mode string, allowed []string) string {
	switch {
	case mode == "NONE":
		return "none"
	case mode == "ANY" && len(allowed) == 1:
		return "=" + allowed[0]
	case mode == "ANY":
		return "required"
	default:
		return "auto"
	}
}

// addGeminiTools adds the functions of the i-th tool. Those with "parameters" must keep to
// what Google's own schema has.
func (p *prompt) addGeminiTools(i int, functions []geminiFunction) error {
	for j, fn := range functions {
		if name := foreignKeyword(fn.Parameters); name != "" {
			return badRequest("", "tools", "Unknown name %q in "+
				"tools[%d].functionDeclarations[%d].parameters.", name, i, j)
		}
		schema := fn.Parameters
		for _, other := range []json.RawMessage{fn.JSONSchema, fn.SnakeJSONSchema} {
			if other != nil {
				schema = other
			}
		}
		p.tools = append(p.tools, tool{fn.Name, schema})
	}
	return nil
}

// foreignKeyword returns a keyword of JSON schema that Google's schema lacks; "" if schema
// has none.
func foreignKeyword(schema json.RawMessage) string {
	var node map[string]json.RawMessage
	if json.Unmarshal(schema, &node) != nil {
		return ""
	}
	for _, name := range []string{
		"$schema", "$id", "$ref", "$defs", "definitions", "const", "oneOf", "allOf", "not", "if",
		"patternProperties", "additionalProperties", "exclusiveMinimum", "exclusiveMaximum",
	} {
		if node[name] != nil {
			return name
		}
	}
	var properties map[string]json.RawMessage
	var anyOf []json.RawMessage
	// What has another shape holds no schemas.
	_ = json.Unmarshal(node["properties"], &properties)
	_ = json.Unmarshal(node["anyOf"], &anyOf)
	children := append(anyOf, node["items"])
	for _, child := range properties {
		children = append(children, child)
	}
	for _, child := range children {
		if name := foreignKeyword(child); name != "" {
			return name
		}
	}
	return ""
}

// tokens counts the texts, calls and results of t.
func (t *geminiTurn) tokens() int64 {
	n := int64(0)
	for i := range t.Parts {
		part := &t.Parts[i]
		if !part.Thought {
			n += CountTokens(part.Text)
		}
		if call := part.call(); call != nil {
			n += 1 + CountTokens(compact(call.Args))
		}
		if response := part.response(); response != nil {
			n += CountTokens(compact(response.Response))
		}
	}
	return n
}

func (p *geminiTurnPart) call() *geminiTurnCall {
	if p.FunctionCall != nil {
		return p.FunctionCall
	}
	return p.SnakeCall
}

func (p *geminiTurnPart) response() *geminiTurnResponse {
	if p.FunctionResponse != nil {
		return p.FunctionResponse
	}
	return p.SnakeResponse
}

// addTurns counts the conversation and finds the text to answer.
func (r *geminiRequest) addTurns(turns []geminiTurn) error {
	p := &r.prompt
	for i := range turns {
		t := &turns[i]
		switch {
		case t.Role != "user" && t.Role != "model" && t.Role != "function" && t.Role != "":
			return badRequest("", "contents", "Role %q is not valid: use user or model.", t.Role)
		case len(t.Parts) == 0:
			return badRequest("", "contents", "contents[%d].parts must not be empty.", i)
		}
		p.tokens += t.tokens()
		if t.Role != "model" {
			var text, results []string
			for j := range t.Parts {
				if response := t.Parts[j].response(); response != nil {
					results = append(results, compact(response.Response))
				} else if t.Parts[j].Text != "" {
					text = append(text, t.Parts[j].Text)
				}
			}
			p.ask(text, results)
		}
	}
	return r.checkCalls(turns)
}

// ask takes the text to answer out of a user's message: results of tools before words.
func (p *prompt) ask(words, results []string) {
	if len(results) > 0 {
		p.last, p.asks = strings.Join(results, " "), false
	} else {
		p.last, p.asks = strings.Join(words, " "), true
	}
}

// checkCalls holds that each turn of calls is answered by as many results, and that a
// model of the third generation gets its signatures back. Turns of one role that follow
// each other are one turn.
func (r *geminiRequest) checkCalls(turns []geminiTurn) error {
	calls, results := 0, 0 // of the model's turn, and of the user's after it
	wasModel, unsigned := false, false
	unequal := func() error {
		return badRequest("", "contents", "A turn of the user has %d function responses, the model's before it "+
			"%d function calls.", results, calls)
	}
	for i := range turns {
		isModel := turns[i].Role == "model"
		if isModel && !wasModel {
			if results != calls {
				return unequal()
			}
			calls, results = 0, 0
		}
		for j := range turns[i].Parts {
			part := &turns[i].Parts[j]
			switch {
			case isModel && part.call() != nil:
				calls++
				unsigned = unsigned || calls == 1 && part.Signature == "" && part.SnakeSignature == ""
			case !isModel && part.response() != nil:
				results++
			case !isModel && part.Text != "":
				unsigned = false // what lies before the user's last words is not looked at
			}
		}
		wasModel = isModel
	}
	if !wasModel && results != calls {
		return unequal()
	}
	if unsigned && isGemini3(r.prompt.model) {
		return badRequest("", "contents", "A function call lacks its thought_signature.")
	}
	return nil
}

// isGemini3 reports whether model signs its thoughts and names its calls.
func isGemini3(model string) bool { return strings.Contains(model, "gemini-3") }

// compact returns raw without white space outside of strings; an absent object is {}.
func compact(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "{}"
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return fmt.Sprint(err) // cannot be: it has been parsed
	}
	return b.String()
}
