package keys

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/llmproxy/llmproxy/wire"
)

// thing is what a path is about: something that a provider keeps for its account, which
// all gateway keys share.
type thing struct {
	kind string // "responses", "files" …; "" where the path is about none
	id   string // "" for the collection
	rest string // of the path, below the id
}

// kinds are the collections, by the segments that name them. Of a path with several, the
// outermost decides: whose the whole is, the parts are.
var kinds = [...]string{
	"responses", "conversations", "files", "uploads", "batches", "vector_stores", "videos",
	"containers", "threads", "assistants", "evals", "skills", "jobs", "cachedcontents", "interactions",
}

// thingOf reads path, escaped. Letters and escapes count as a provider might take them.
func thingOf(path string) thing {
	if plain, err := url.PathUnescape(path); err == nil {
		path = plain
	}
	before := ""
	for path != "" {
		var segment string
		if segment, path, _ = strings.Cut(path, "/"); segment == "" {
			continue
		}
		kind := lowered(segment)
		if named(kind, before) {
			id, rest := "", path
			for id == "" && rest != "" {
				id, rest, _ = strings.Cut(rest, "/")
			}
			if kind == "responses" && (id == "compact" || id == "input_tokens") {
				return thing{} // an endpoint, not a response
			}
			id, _, _ = strings.Cut(id, ":") // Google's verbs
			return thing{kind, id, strings.Trim(rest, "/")}
		}
		before = kind
	}
	return thing{}
}

// named reports whether segment, after the segment before, names a collection.
func named(segment, before string) bool {
	if segment == "completions" {
		return before == "chat"
	}
	for _, k := range kinds {
		if k == segment {
			return true
		}
	}
	return false
}

// references iterates over the ids of files and vector stores that a JSON body, which has
// been found valid, refers to at any depth. It reads the body once, and only where it may
// hold one.
func references(body []byte) func(yield func(id string) bool) {
	return func(yield func(string) bool) {
		if !mayRefer(body) {
			return
		}
		for at := 0; ; {
			i := bytes.IndexByte(body[at:], '"')
			if i < 0 {
				return
			}
			start := at + i
			end := stringEnd(body, start)
			value := bytes.TrimLeft(body[end:], " \t\r\n")
			at = end
			if len(value) == 0 || value[0] != ':' {
				continue
			}
			value = bytes.TrimLeft(value[1:], " \t\r\n")
			at = len(body) - len(value)
			name, _ := wire.String(body[start:end])
			if refers(name) && !each(body, at, name, yield) {
				return
			}
		}
	}
}

// mayRefer reports whether a member of body can be called as one of those that refers
// knows, however that is spelled.
func mayRefer(body []byte) bool {
	for _, part := range [...]string{"file_id", "_file\"", "file_uri", "fileUri", "vector_store_ids", `\u00`} {
		if bytes.Contains(body, []byte(part)) {
			return true
		}
	}
	return false
}

func refers(name string) bool {
	switch name {
	case "file_id", "input_file_id", "training_file", "validation_file", "file_ids", "vector_store_ids", "file_uri", "fileUri":
		return true
	}
	return false
}

// each yields the ids in the value at body[at], a string or an array of them. It returns
// false when there is to be no more.
func each(body []byte, at int, name string, yield func(string) bool) bool {
	value := body[at:]
	one := func(quoted []byte) bool {
		id, ok := wire.String(quoted)
		if ok && (name == "file_uri" || name == "fileUri") {
			_, id, ok = strings.Cut(id, "/files/") // a file of Gemini's; others are elsewhere
		}
		return !ok || id == "" || yield(id)
	}
	switch wire.KindOf(value) {
	case wire.Text:
		return one(body[at:stringEnd(body, at)])
	case wire.Array:
		for v := range wire.Elements(value) {
			if !one(v) {
				return false
			}
		}
	}
	return true
}

// stringEnd returns the offset after the JSON string at body[start].
func stringEnd(body []byte, start int) int {
	for i := start + 1; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(body)
}
