package gateway

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/goccy/go-yaml"
)

var update = flag.Bool("update", false, "rewrite llmproxy.schema.json")

// The schema in the repository is that of the types.
func TestSchema(t *testing.T) {
	t.Parallel()
	const file = "../../llmproxy.schema.json"
	got, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not that of the types (%v): run go test ./internal/gateway -run TestSchema -update", file, err)
	}
}

// The schema has every key of the example, and no other is allowed.
func TestSchemaHasTheExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../llmproxy.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var example any
	if err := yaml.Unmarshal(text, &example); err != nil {
		t.Fatal(err)
	}
	raw, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	if fault := fits(s, example, ""); fault != "" {
		t.Error(fault)
	}
	if fits(s, map[string]any{"lisen": "a"}, "") == "" || fits(s, map[string]any{"retry": map[string]any{"attempt": 1}}, "") == "" {
		t.Error("unknown keys fit")
	}
}

// fits says where value has what s does not allow: keys, and mappings and lists where
// others are wanted.
func fits(s map[string]any, value any, path string) string {
	if list, ok := s["anyOf"].([]any); ok {
		fault := ""
		for _, one := range list {
			if fault = fits(one.(map[string]any), value, path); fault == "" {
				return ""
			}
		}
		return fault
	}
	allowed := func(kind string) bool {
		for _, t := range s["type"].([]any) {
			if t == kind {
				return true
			}
		}
		return false
	}
	switch v := value.(type) {
	case map[string]any:
		if !allowed("object") {
			return path + ": a mapping"
		}
		properties, _ := s["properties"].(map[string]any)
		for key, inner := range v {
			next, ok := properties[key].(map[string]any)
			if !ok {
				if next, ok = s["additionalProperties"].(map[string]any); !ok {
					return path + "." + key + ": unknown"
				}
			}
			if fault := fits(next, inner, path+"."+key); fault != "" {
				return fault
			}
		}
	case []any:
		if !allowed("array") {
			return path + ": a list"
		}
		for _, inner := range v {
			if fault := fits(s["items"].(map[string]any), inner, path+"[]"); fault != "" {
				return fault
			}
		}
	case nil:
	default:
		if !allowed("string") && !allowed("number") {
			return path + ": a value"
		}
	}
	return ""
}
