package simulator

import (
	"bytes"
	"encoding/json"
)

// textInput is the input of Completions and Embeddings: a text, several, a text in
// tokens, or several.
type textInput []inputText

// inputText is one of them. A text that came in tokens reads as their numbers.
type inputText struct {
	text   string
	tokens int64
}

func (t *textInput) UnmarshalJSON(raw []byte) error {
	var texts []string
	var tokens []int64
	var lists [][]int64
	switch {
	case bytes.HasPrefix(raw, []byte(`"`)):
		texts = make([]string, 1)
		if err := json.Unmarshal(raw, &texts[0]); err != nil {
			return err
		}
	case json.Unmarshal(raw, &texts) == nil:
	case json.Unmarshal(raw, &tokens) == nil:
		texts, lists = nil, [][]int64{tokens}
	case json.Unmarshal(raw, &lists) == nil:
		texts = nil
	default:
		return &json.UnmarshalTypeError{Value: "value"}
	}
	for _, text := range texts {
		*t = append(*t, inputText{text, CountTokens(text)})
	}
	for _, list := range lists {
		*t = append(*t, inputText{string(bytes.Trim(encode(list), "[]")), int64(len(list))})
	}
	return nil
}
