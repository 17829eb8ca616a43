package openresponses

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// What the specification of 2026-04-24 says that answers and events are made of: a member
// is required, and of one of the kinds that are named. What else there is does not matter.

// shape is the required members of an object.
type shape map[string]string

// Kinds of values, besides the names of shapes in kinds.
const (
	text     = "text"
	number   = "number"
	boolean  = "boolean"
	list     = "list"
	anything = "any"
	null     = "null"
)

// resource is a response.
var resource = shape{
	"id": text, "object": text, "created_at": number, "completed_at": "number|null", "status": text,
	"incomplete_details": "details|null", "model": text, "previous_response_id": "text|null", "instructions": "text|null",
	"output": "items", "error": "fault|null", "tools": "tools", "tool_choice": "text|object", "truncation": text,
	"parallel_tool_calls": boolean, "text": "textFormat", "top_p": number, "presence_penalty": number,
	"frequency_penalty": number, "top_logprobs": number, "temperature": number, "reasoning": "reasoning|null",
	"usage": "usage|null", "max_output_tokens": "number|null", "max_tool_calls": "number|null", "store": boolean,
	"background": boolean, "service_tier": text, "metadata": anything, "safety_identifier": "text|null", "prompt_cache_key": "text|null",
}

// shapes are the other objects.
var shapes = map[string]shape{
	"response":   resource,
	"details":    {"reason": text},
	"fault":      {"code": text, "message": text},
	"textFormat": {"format": "format"},
	"format":     {"type": text},
	"reasoning":  {"effort": "text|null", "summary": "text|null"},
	"usage": {
		"input_tokens": number, "output_tokens": number, "total_tokens": number,
		"input_tokens_details": "inputDetails", "output_tokens_details": "outputDetails",
	},
	"inputDetails":  {"cached_tokens": number},
	"outputDetails": {"reasoning_tokens": number},
	"function":      {"name": text, "description": "text|null", "parameters": "object|null", "strict": "boolean|null"},
	"part":          {"type": text},
	"socketFault":   {"code": "text|null", "message": text},
	"compaction":    {"id": text, "object": text, "created_at": number, "output": "items", "usage": "usage"},
}

// items are the items of an output, by their type.
var items = map[string]shape{
	"message":              {"id": text, "status": text, "role": text, "content": list},
	"function_call":        {"id": text, "status": text, "call_id": text, "name": text, "arguments": text},
	"function_call_output": {"id": text, "status": text, "call_id": text, "output": anything},
	"reasoning":            {"id": text, "summary": list},
	"compaction":           {"id": text, "encrypted_content": text},
}

// events are the events of a stream or a socket, by their type. There are no others.
var events = func() map[string]shape {
	all := map[string]shape{}
	add := func(members shape, types ...string) {
		for _, kind := range types {
			all[kind] = maps.Clone(members)
			all[kind]["sequence_number"] = number
		}
	}
	inItem := func(more ...string) shape {
		s := shape{"item_id": text, "output_index": number}
		for i := 0; i < len(more); i += 2 {
			s[more[i]] = more[i+1]
		}
		return s
	}
	inPart := func(more ...string) shape { return inItem(append(more, "content_index", number)...) }
	add(
		shape{"response": "response"}, "response.created", "response.queued", "response.in_progress",
		"response.completed", "response.failed", "response.incomplete",
	)
	add(shape{"output_index": number, "item": "item"}, "response.output_item.added", "response.output_item.done")
	add(inPart("part", "part"), "response.content_part.added", "response.content_part.done")
	add(inPart("delta", text, "logprobs", list), "response.output_text.delta")
	add(inPart("text", text, "logprobs", list), "response.output_text.done")
	add(inPart("annotation_index", number, "annotation", "object|null"), "response.output_text.annotation.added")
	add(inPart("delta", text), "response.refusal.delta", "response.reasoning.delta")
	add(inPart("refusal", text), "response.refusal.done")
	add(inPart("text", text), "response.reasoning.done")
	add(inItem("summary_index", number, "delta", text), "response.reasoning_summary_text.delta")
	add(inItem("summary_index", number, "text", text), "response.reasoning_summary_text.done")
	add(inItem("summary_index", number, "part", "part"), "response.reasoning_summary_part.added", "response.reasoning_summary_part.done")
	add(inItem("delta", text), "response.function_call_arguments.delta")
	add(inItem("arguments", text), "response.function_call_arguments.done")
	add(shape{"error": "socketFault"}, "error")
	return all
}()

// check returns what is wrong with o, which is at a path.
func (s shape) check(path string, o object) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(s)) {
		value, ok := o[name]
		if !ok {
			faults = append(faults, fmt.Errorf("%s.%s is missing", path, name))
			continue
		}
		faults = append(faults, checkKinds(path+"."+name, s[name], value))
	}
	return errors.Join(faults...)
}

// checkKinds returns what is wrong with value if it is of none of kinds.
func checkKinds(path, kinds string, value any) error {
	var err error
	for kind := range strings.SplitSeq(kinds, "|") {
		if err = checkKind(path, kind, value); err == nil {
			return nil
		}
	}
	return err
}

func checkKind(path, kind string, value any) error {
	ok := true
	switch kind {
	case anything:
	case text:
		_, ok = value.(string)
	case number:
		_, ok = value.(float64)
	case boolean:
		_, ok = value.(bool)
	case list:
		_, ok = value.([]any)
	case null:
		ok = value == nil
	case "object":
		_, ok = value.(object)
	case "items", "tools":
		return checkList(path, strings.TrimSuffix(kind, "s"), value)
	case "item", "tool":
		o, _ := value.(object)
		return checkTyped(path, kind, o)
	default:
		if o, isObject := value.(object); isObject {
			return shapes[kind].check(path, o)
		}
		ok = false
	}
	if !ok {
		return fmt.Errorf("%s is no %s: %v", path, kind, value)
	}
	return nil
}

func checkList(path, kind string, value any) error {
	all, ok := value.([]any)
	if !ok {
		return fmt.Errorf("%s is no list: %v", path, value)
	}
	var faults []error
	for i, one := range all {
		faults = append(faults, checkKind(fmt.Sprintf("%s[%d]", path, i), kind, one))
	}
	return errors.Join(faults...)
}

// checkTyped returns what is wrong with an item or a tool.
func checkTyped(path, kind string, o object) error {
	name, _ := o["type"].(string)
	if kind == "tool" {
		if name == "function" {
			return shapes["function"].check(path, o)
		}
		return checkKind(path+".type", text, o["type"])
	}
	s, ok := items[name]
	if !ok {
		return fmt.Errorf("%s is an item of type %q", path, name)
	}
	return s.check(path, o)
}

// checkEvent returns what is wrong with an event. On a socket an error has a status in
// place of its number.
func checkEvent(e object, onSocket bool) error {
	kind, _ := e["type"].(string)
	s, ok := events[kind]
	if !ok {
		return fmt.Errorf("an event of type %q", kind)
	}
	if kind == "error" && onSocket {
		s = shape{"error": "socketFault", "status": number}
	}
	return s.check(kind, e)
}

// whole returns a response that has all that is required, and the least of it.
func whole() object {
	return object{
		"id": "resp_1", "object": "response", "created_at": 1.0, "completed_at": nil, "status": "completed",
		"incomplete_details": nil, "model": "m", "previous_response_id": nil, "instructions": nil,
		"output": []any{
			object{"type": "reasoning", "id": "rs_1", "summary": []any{}},
			object{
				"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "final_answer",
				"content": []any{object{"type": "output_text", "text": "hi", "annotations": []any{}, "logprobs": []any{}}},
			},
			object{"type": "function_call", "id": "fc_1", "status": "completed", "call_id": "call_1", "name": "f", "arguments": "{}"},
			object{"type": "compaction", "id": "cmp_1", "encrypted_content": "x"},
		},
		"error": nil, "tools": []any{object{"type": "function", "name": "f", "description": nil, "parameters": nil, "strict": nil}},
		"tool_choice": "auto", "truncation": "disabled", "parallel_tool_calls": true, "text": object{"format": object{"type": "text"}},
		"top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "top_logprobs": 0.0, "temperature": 1.0,
		"reasoning": nil, "usage": nil, "max_output_tokens": nil, "max_tool_calls": nil, "store": true, "background": false,
		"service_tier": "default", "metadata": object{}, "safety_identifier": nil, "prompt_cache_key": nil,
	}
}

// The schema takes a response with the phase of a message in it, and none that lacks a
// member: the suite's test of itself.
func TestOutputPhaseSchema(t *testing.T) {
	t.Parallel()
	if err := resource.check("response", whole()); err != nil {
		t.Errorf("a response is refused: %v", err)
	}
	for name := range resource {
		o := whole()
		delete(o, name)
		if resource.check("response", o) == nil {
			t.Errorf("a response without %s is taken", name)
		}
		o = whole()
		o[name] = []any{[]any{}}
		if resource.check("response", o) == nil && name != "metadata" {
			t.Errorf("a response is taken whose %s is a list of a list", name)
		}
	}
	for i, name := range []string{"summary", "content", "arguments", "encrypted_content"} {
		o := whole()
		delete(o["output"].([]any)[i].(object), name)
		if resource.check("response", o) == nil {
			t.Errorf("an item without %s is taken", name)
		}
	}
	for _, all := range []map[string]shape{shapes, items, events} {
		for name, s := range all {
			for member, kinds := range s {
				for kind := range strings.SplitSeq(kinds, "|") {
					if !known(kind) {
						t.Errorf("%s.%s is of the kind %q, which is none", name, member, kind)
					}
				}
			}
		}
	}
	if len(events) != 24 {
		t.Errorf("%d types of events, want 24", len(events))
	}
	if checkEvent(object{"type": "codex.rate_limits"}, true) == nil || checkEvent(object{"type": "response.created", "sequence_number": 0.0}, true) == nil {
		t.Error("an event is taken that is none")
	}
}

// known reports whether kind is the name of one.
func known(kind string) bool {
	switch kind {
	case anything, text, number, boolean, list, null, "object", "items", "tools", "item":
		return true
	}
	return shapes[kind] != nil
}
