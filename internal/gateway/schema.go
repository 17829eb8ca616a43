package gateway

import (
	"encoding"
	"encoding/json"
	"reflect"
)

// Schema returns the JSON schema (draft 2020-12) of llmproxy.yaml, for editors: made from
// the types that read it.
func Schema() ([]byte, error) {
	s := schemaOf(reflect.TypeFor[Config]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "llmproxy.yaml"
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

// schema is one node of a JSON schema.
type schema map[string]any

// scalar is what a value with a text of its own may be in YAML: a number such as 10000, or
// one with a unit, or a reference to the environment.
var scalar = []string{"string", "number", "boolean"}

func schemaOf(t reflect.Type) schema {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return schema{"type": scalar}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Bool:
		return schema{"type": []string{"boolean", "string"}}
	case reflect.Map:
		return schema{"type": []string{"object", "null"}, "additionalProperties": schemaOf(t.Elem())}
	case reflect.Slice:
		if isNamed(t.Elem()) {
			return schema{"type": []string{"object", "null"}, "additionalProperties": schemaOf(t.Elem())}
		}
		item := schemaOf(t.Elem())
		return schema{"anyOf": []schema{{"type": []string{"array", "null"}, "items": item}, item}}
	case reflect.Struct:
		properties := schema{}
		for _, f := range reflect.VisibleFields(t) {
			if tag := f.Tag.Get("yaml"); tag != "" && tag != "-" {
				properties[tag] = schemaOf(f.Type)
			}
		}
		return schema{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
	}
	return schema{"type": scalar}
}
