package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// fields are the members of a JSON request, by their exact names.
type fields map[string]json.RawMessage

// parseFields reads the body of a JSON request.
func parseFields(body []byte) (fields, error) {
	var f fields
	if err := json.Unmarshal(body, &f); err != nil || f == nil {
		return nil, badRequest("", "", "The request body is not a JSON object.")
	}
	for name, value := range f {
		if bytes.Equal(value, []byte("null")) {
			delete(f, name)
		}
	}
	return f, nil
}

// read decodes the member called name into v, which keeps its value if there is none.
func (f fields) read(name string, v any) error {
	raw, ok := f[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		param := name
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
			param += "." + e.Field
		}
		return badRequest("invalid_type", param, "Invalid type for '%s'.", param)
	}
	return nil
}

// common are the members that several APIs share.
type common struct {
	model  string // as asked for
	stream bool
	usage  bool // stream_options.include_usage
	tier   string
}

// readCommon reads them. Usage in streams is refused where streamUsage is false.
func (f fields) readCommon(streamUsage bool) (common, error) {
	var c common
	var options fields
	err := errors.Join(
		f.read("model", &c.model),
		f.read("stream", &c.stream),
		f.read("stream_options", &options),
		f.read("service_tier", &c.tier),
	)
	if err != nil {
		return common{}, first(err)
	}
	if _, given := f["stream_options"]; given && !c.stream {
		return common{}, badRequest("", "stream_options",
			"The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	}
	for name := range options {
		known := name == "include_obfuscation" || streamUsage && name == "include_usage"
		if !known {
			return common{}, badRequest("unknown_parameter", "stream_options."+name,
				"Unknown parameter: 'stream_options.%s'.", name)
		}
	}
	if err := options.read("include_usage", &c.usage); err != nil {
		return common{}, err
	}
	c.tier = servedTier(c.tier)
	return c, nil
}

// first returns the first fault of joined errors.
func first(err error) error {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	return err
}

// servedTier returns the service tier that an answer reports to have used.
func servedTier(asked string) string {
	switch asked {
	case "", "auto":
		return "default"
	case "fast":
		return "priority"
	default:
		return asked
	}
}

// content is a text, or parts of which some hold text.
type content struct{ text string }

func (c *content) UnmarshalJSON(raw []byte) error {
	switch {
	case bytes.HasPrefix(raw, []byte(`"`)):
		return json.Unmarshal(raw, &c.text)
	case bytes.HasPrefix(raw, []byte("[")):
		var parts []struct {
			Text string `json:"text"`
		}
		if err := json.Unmarshal(raw, &parts); err != nil {
			return err
		}
		var texts []string
		for _, p := range parts {
			if p.Text != "" {
				texts = append(texts, p.Text)
			}
		}
		c.text = strings.Join(texts, " ")
		return nil
	case bytes.Equal(raw, []byte("null")):
		return nil
	default:
		return &json.UnmarshalTypeError{Value: "value"}
	}
}

// toolChoice reads tool_choice: a word, or an object that names a function, flat or in a
// member "function". It is returned as prompt.choice has it.
func (f fields) toolChoice() (string, error) {
	raw := f["tool_choice"]
	if !bytes.HasPrefix(raw, []byte("{")) {
		choice := "auto"
		err := f.read("tool_choice", &choice)
		return choice, err
	}
	var object struct {
		Name     string `json:"name"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if err := f.read("tool_choice", &object); err != nil {
		return "", err
	}
	if object.Name == "" {
		object.Name = object.Function.Name
	}
	if object.Name == "" {
		return "auto", nil
	}
	return "=" + object.Name, nil
}
