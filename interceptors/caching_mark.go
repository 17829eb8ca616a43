package interceptors

import (
	"bytes"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// marking puts marks into one request.
type marking struct {
	x     *llmproxy.Exchange
	model string
	rule  CachingRule
	edits []wire.Edit
}

// mentions reports whether the request has a member of that name anywhere, or gets one. It
// may err where a tool's schema has it: such a request is left alone.
func (m *marking) mentions(name string) bool {
	quoted := []byte(`"` + name + `"`)
	for _, e := range m.x.Edits {
		if bytes.Contains(e.New, quoted) {
			return true
		}
	}
	return bytes.Contains(m.x.Body.Bytes(), quoted)
}

// at returns the place in the body of value, which is a part of it.
func (m *marking) at(value []byte) wire.Span { return placeOf(m.x.Body.Bytes(), value) }

// placeOf returns the place in text of part, a slice of it that package wire returned.
func placeOf(text, part []byte) wire.Span {
	start := cap(text) - cap(part)
	return wire.Span{Start: start, End: start + len(part)}
}

// insert adds text before the byte of the body at offset at.
func (m *marking) insert(at int, text string) {
	m.edits = append(m.edits, wire.Edit{Span: wire.Span{Start: at, End: at}, New: []byte(text)})
}

// cacheKey returns the edits that name the conversation in the body.
func (m *marking) cacheKey(key string, style CachingStyle) []wire.Edit {
	if key == "" || m.mentions("prompt_cache_key") {
		return nil
	}
	members := append([]byte(`"prompt_cache_key":`), wire.AppendString(nil, key)...)
	if style == CachingOpenAI && m.rule.Long && (m.rule.Style != "" || matchesOne(m.model, daylong...)) &&
		!m.mentions("prompt_cache_retention") && !m.mentions("prompt_cache_options") {
		members = append(members, `,"prompt_cache_retention":"24h"`...)
	}
	body := m.x.Body.Bytes()
	begin := bytes.IndexByte(body, '{') + 1
	if rest := bytes.TrimLeft(body[begin:], " \t\r\n"); len(rest) > 0 && rest[0] != '}' {
		members = append(members, ',')
	}
	m.insert(begin, string(members))
	return m.edits
}

// daylong are the models of OpenAI that keep a cache for a day; others answer 400.
var daylong = []string{"gpt-5*", "gpt-4.1*"}

// cacheControl returns the edits that mark blocks in the way of Anthropic.
func (m *marking) cacheControl(style CachingStyle) []wire.Edit {
	forced := m.rule.Style != ""
	if !forced && !cachesClaude(m.model, style) || m.mentions("cache_control") {
		return nil
	}
	mark := `,"cache_control":{"type":"ephemeral"}`
	if m.rule.Long && (forced || style == CachingAnthropic || !matchesOne(m.model, hourless...)) {
		mark = `,"cache_control":{"type":"ephemeral","ttl":"1h"}`
	}
	var system, tools, messages []byte
	for name, value := range wire.Members(m.x.Body.Bytes()) {
		switch string(name) {
		case "system":
			system = value
		case "tools":
			tools = value
		case "messages":
			messages = value
		}
	}
	if !m.markText(system, mark) && !m.markLast(system, mark) {
		// A mark on the system prompt covers the tools, which come before it.
		m.markTools(tools, mark)
	}
	m.markMessage(messages, func(content []byte) bool { return m.markText(content, mark) || m.markLast(content, mark) })
	return m.edits
}

// markMessage has mark mark the last message that can be.
func (m *marking) markMessage(messages []byte, mark func(content []byte) bool) {
	if wire.KindOf(messages) != wire.Array {
		return
	}
	var all [][]byte
	for message := range wire.Elements(messages) {
		all = append(all, message)
	}
	const longestTail = 20 // blocks that Anthropic looks back over for a mark
	for n := 0; n < min(len(all), longestTail); n++ {
		message := all[len(all)-1-n]
		if role, _ := wire.String(wire.Member(message, "role")); role != "user" && role != "assistant" {
			continue
		}
		if mark(wire.Member(message, "content")) {
			return
		}
	}
}

// markText makes a text that stands for one block that block, with mark.
func (m *marking) markText(text []byte, mark string) bool {
	if wire.KindOf(text) != wire.Text || blank(text) {
		return false
	}
	// Two insertions: what stands between them may be another interceptor's to replace.
	at := m.at(text)
	m.insert(at.Start, `[{"type":"text","text":`)
	m.insert(at.End, mark+"}]")
	return true
}

// markLast marks the last of blocks that can bear it.
func (m *marking) markLast(blocks []byte, mark string) bool {
	if wire.KindOf(blocks) != wire.Array {
		return false
	}
	var last []byte
	for block := range wire.Elements(blocks) {
		// Thinking cannot be marked, nor can a text without one.
		switch kind, _ := wire.String(wire.Member(block, "type")); kind {
		case "text":
			if blank(wire.Member(block, "text")) {
				continue
			}
		case "image", "document", "tool_use", "tool_result":
		default:
			continue
		}
		last = block
	}
	if last == nil {
		return false
	}
	m.insert(m.at(last).End-1, mark)
	return true
}

// markTools marks the last of tools that can bear it: one that has members, and is not
// loaded later, which keeps it out of the prompt.
func (m *marking) markTools(tools []byte, mark string) {
	if wire.KindOf(tools) != wire.Array {
		return
	}
	var last []byte
	for tool := range wire.Elements(tools) {
		some := false
		for range wire.Members(tool) {
			some = true
			break
		}
		if later, _ := wire.Bool(wire.Member(tool, "defer_loading")); some && !later {
			last = tool
		}
	}
	if last != nil {
		m.insert(m.at(last).End-1, mark)
	}
}

// cachePoints returns the edits that mark the prompt in the way of Converse.
func (m *marking) cachePoints() []wire.Edit {
	forced := m.rule.Style != ""
	claude := cachesClaude(m.model, CachingBedrock)
	if !forced && !claude && !matchesOne(m.model, "*amazon.nova-*") || m.mentions("cachePoint") {
		return nil
	}
	point := `,{"cachePoint":{"type":"default"}}`
	if m.rule.Long && (forced || claude && !matchesOne(m.model, hourless...)) {
		point = `,{"cachePoint":{"type":"default","ttl":"1h"}}`
	}
	body := m.x.Body.Bytes()
	end := func(list []byte) bool {
		if lastOf(list) == nil {
			return false
		}
		m.insert(m.at(list).End-1, point)
		return true
	}
	end(wire.Member(body, "system"))
	if claude || forced { // Nova's tools bear none
		end(wire.Member(wire.Member(body, "toolConfig"), "tools"))
	}
	m.markMessage(wire.Member(body, "messages"), func(content []byte) bool {
		last := lastOf(content)
		for name := range wire.Members(last) {
			switch string(name) {
			case "text", "image", "document", "video":
				return end(content)
			case "toolUse", "toolResult":
				return (claude || forced) && end(content)
			}
		}
		return false
	})
	return m.edits
}

// cachesClaude reports whether the model can cache: at Anthropic all but those of the
// beginning, at Bedrock Claude from 3.5 v2 on.
func cachesClaude(model string, style CachingStyle) bool {
	if matchesOne(model, "*claude-2*", "*claude-v2*", "*claude-instant*") {
		return false
	}
	if style == CachingAnthropic {
		return true
	}
	return matchesOne(model, "*anthropic.claude-*") && !matchesOne(model,
		"*claude-3-haiku*", "*claude-3-sonnet*", "*claude-3-opus*", "*claude-3-5-sonnet-20240620*")
}

// hourless are the models at Bedrock that refuse a lifetime of an hour.
var hourless = []string{"*claude-3-*", "*claude-sonnet-4-2025*", "*claude-opus-4-2025*", "*claude-opus-4-1-*"}

// lastOf returns the last element of an array, nil if there is none.
func lastOf(array []byte) (last []byte) {
	if wire.KindOf(array) == wire.Array {
		for e := range wire.Elements(array) {
			last = e
		}
	}
	return last
}

// blank reports whether a JSON string has nothing but white space; what is none is blank.
func blank(text []byte) bool {
	const longestBlank = 256 // bytes; more than that is taken for a text
	if len(text) > longestBlank {
		return false
	}
	s, _ := wire.String(text)
	return strings.TrimSpace(s) == ""
}
