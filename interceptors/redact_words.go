package interceptors

import (
	"context"
	"strings"

	"github.com/llmproxy/llmproxy"
)

// MaskWords returns a [Redactor] that writes mask in the place of words, in requests and
// answers. Case matters; of words that begin in one place, the longest counts. In a stream,
// a word is found however it is cut into deltas, unless it is longer than
// [Redaction].Hold bytes.
func MaskWords(mask string, words ...string) Redactor {
	m := &wordMask{mask: mask}
	for _, w := range words {
		if w != "" {
			m.words = append(m.words, w)
			m.begins[w[0]] = true
		}
	}
	return m
}

type wordMask struct {
	mask   string
	words  []string
	begins [256]bool // the bytes that words begin with
}

func (m *wordMask) RequestText(_ context.Context, _ *llmproxy.Exchange, text string) (string, error) {
	out, _ := m.masked(text, true)
	return out, nil
}

func (m *wordMask) AnswerText(_ context.Context, _ *llmproxy.Exchange, text string, last bool) (string, int) {
	return m.masked(text, last)
}

// masked returns text with the words masked, less its last keep bytes, which may yet become
// a word unless nothing follows.
func (m *wordMask) masked(text string, last bool) (out string, keep int) {
	var b strings.Builder
	done := 0 // text[:done] is in b
	for i := 0; i < len(text); {
		if !m.begins[text[i]] {
			i++
			continue
		}
		rest, longest := text[i:], 0
		for _, w := range m.words {
			switch {
			case strings.HasPrefix(rest, w):
				longest = max(longest, len(w))
			case !last && strings.HasPrefix(w, rest):
				b.WriteString(text[done:i])
				return b.String(), len(rest)
			}
		}
		if longest == 0 {
			i++
			continue
		}
		b.WriteString(text[done:i])
		b.WriteString(m.mask)
		i += longest
		done = i
	}
	if done == 0 {
		return text, 0
	}
	b.WriteString(text[done:])
	return b.String(), 0
}
