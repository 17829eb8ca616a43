package simulator

import "strings"

// ReasoningTokens is what a model with "reason" or "think" in its name thinks before it
// answers.
const ReasoningTokens = 64

// replyWords is how much of the prompt a reply repeats.
const replyWords = 32

// Usage is what an answer reports, in tokens, whatever the API adds up or keeps apart.
// Cached and CacheWrite are inside Prompt, CacheWrite1h is inside CacheWrite, Reasoning
// is inside Completion.
type Usage struct {
	Prompt, Cached, CacheWrite, CacheWrite1h, Completion, Reasoning int64

	SearchUnits int64 // of a rerank
}

// Total returns Prompt + Completion.
func (u Usage) Total() int64 { return u.Prompt + u.Completion }

// CountTokens returns the number of words of text: runs without white space.
func CountTokens(text string) int64 {
	n := int64(0)
	for range strings.FieldsSeq(text) {
		n++
	}
	return n
}

// Reply returns the text with which a prompt is answered: "You said:" and the first 32
// words of the prompt, single spaces between them.
func Reply(prompt string) string {
	var b strings.Builder
	b.WriteString("You said:")
	n := 0
	for word := range strings.FieldsSeq(prompt) {
		if n++; n > replyWords {
			break
		}
		b.WriteByte(' ')
		b.WriteString(word)
	}
	return b.String()
}

// cached returns how many tokens of a prompt came from the cache: from 1024 tokens on,
// all full blocks of 128.
func cached(prompt int64) int64 {
	if prompt < 1024 {
		return 0
	}
	return prompt - prompt%128
}

// reasons reports whether model thinks before it answers.
func reasons(model string) bool {
	return strings.Contains(model, "reason") || strings.Contains(model, "think")
}

// deltas cuts text before its spaces, so that the parts joined are text again.
func deltas(text string) []string {
	var parts []string
	for text != "" {
		end := strings.IndexByte(text[1:], ' ') + 1
		if end == 0 {
			end = len(text)
		}
		parts = append(parts, text[:end])
		text = text[end:]
	}
	return parts
}

// relevance returns which part of the words of query document has.
func relevance(query, document string) float64 {
	total, found := CountTokens(query), 0
	for word := range strings.FieldsSeq(query) {
		if hasWord(document, word) {
			found++
		}
	}
	if total == 0 {
		return 0
	}
	return float64(found) / float64(total)
}
