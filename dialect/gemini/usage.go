package gemini

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// count is a number that may not have been reported.
type count struct {
	n      int64
	known  bool
	broken bool // a number was reported that is no count
}

func (c *count) set(value []byte) {
	if n, ok := dialect.Count(value); ok {
		c.n, c.known = n, true
	} else if dialect.Miscounted(value) {
		c.broken = true
	}
}

// isStated reports whether there is a number, be it a count or not.
func (c *count) isStated() bool { return c.known || c.broken }

// The kinds of content that Google counts apart. All that is not named is text.
const (
	image = iota
	audio
	video
	kinds
)

// split says how much of a count is not text.
type split struct {
	n      [kinds]int64
	known  bool // a list was reported, be it complete or not
	broken bool // it has a number that is no count
}

// set reads a list of {"modality","tokenCount"}.
//
// DOCUMENT is counted as images: that is what the pages of a PDF are to the model, at the
// price of images, and Gemini 3 reports the same pages as IMAGE.
func (s *split) set(list []byte) {
	*s = split{}
	for element := range wire.Elements(list) {
		var kind, tokens []byte
		for name, value := range wire.Members(element) {
			switch string(name) {
			case "modality":
				kind = value
			case "tokenCount":
				tokens = value
			}
		}
		n, ok := dialect.Count(tokens)
		if !ok {
			s.broken = s.broken || dialect.Miscounted(tokens)
			continue
		}
		s.known = true
		switch string(kind) {
		case `"IMAGE"`, `"DOCUMENT"`:
			s.add(image, n)
		case `"AUDIO"`:
			s.add(audio, n)
		case `"VIDEO"`:
			s.add(video, n)
		}
	}
}

// add stays below what a sum of all kinds could overflow with.
func (s *split) add(kind int, n int64) {
	const most = 1 << 60
	s.n[kind] = min(s.n[kind]+n, most)
}

func (s *split) sum() int64 { return s.n[image] + s.n[audio] + s.n[video] }

// counts are what an answer has reported so far, as Google counts: the cache inside the
// prompt, tool results and thoughts beside everything else.
type counts struct {
	prompt, cached, candidates, thoughts, tools, total count

	promptBy, cachedBy, candidatesBy split
}

// set takes one member of a usage object. The Live API has a response for candidates.
func (c *counts) set(name, value []byte) {
	switch string(name) {
	case "promptTokenCount":
		c.prompt.set(value)
	case "cachedContentTokenCount":
		c.cached.set(value)
	case "candidatesTokenCount", "responseTokenCount":
		c.candidates.set(value)
	case "thoughtsTokenCount":
		c.thoughts.set(value)
	case "toolUsePromptTokenCount":
		c.tools.set(value)
	case "totalTokenCount":
		c.total.set(value)
	case "promptTokensDetails", "promptTokenDetails": // the latter of embeddings
		c.promptBy.set(value)
	case "cacheTokensDetails":
		c.cachedBy.set(value)
	case "candidatesTokensDetails", "responseTokensDetails":
		c.candidatesBy.set(value)
	}
}

// reported reports whether there is any count. An explicit zero counts.
func (c *counts) reported() bool {
	return c.prompt.known || c.candidates.known || c.thoughts.known || c.tools.known || c.total.known
}

// isZero reports whether no count is above zero.
func (c *counts) isZero() bool {
	return c.prompt.n|c.cached.n|c.candidates.n|c.thoughts.n|c.tools.n|c.total.n == 0
}

// isBlank reports whether nothing is above zero where the report speaks of both sides.
// Such a report is none beside one that counts.
func (c *counts) isBlank() bool {
	return c.isZero() && (c.total.isStated() || c.prompt.isStated() && c.candidates.isStated())
}

// isBroken reports whether a number is no count.
func (c *counts) isBroken() bool {
	return c.prompt.broken || c.cached.broken || c.candidates.broken || c.thoughts.broken ||
		c.tools.broken || c.total.broken || c.promptBy.broken || c.cachedBy.broken || c.candidatesBy.broken
}

// take replaces c by a later report, if it is one: reports are cumulative, and what a
// report does not say stands as it was said before. That does not hold for a total, which
// belongs to the counts that came with it.
func (c *counts) take(report counts) {
	if !report.reported() || report.isBlank() && !c.isZero() {
		return
	}
	report.inherit(c)
	*c = report
}

// inherit takes over from an earlier report what c does not say. A list of kinds is that
// of its count: it holds for a larger one, but not for a smaller one.
func (c *counts) inherit(earlier *counts) {
	for _, p := range [...]struct {
		mine, theirs     *count
		mineBy, theirsBy *split
	}{
		{&c.prompt, &earlier.prompt, &c.promptBy, &earlier.promptBy},
		{&c.cached, &earlier.cached, &c.cachedBy, &earlier.cachedBy},
		{&c.candidates, &earlier.candidates, &c.candidatesBy, &earlier.candidatesBy},
		{&c.thoughts, &earlier.thoughts, nil, nil},
		{&c.tools, &earlier.tools, nil, nil},
	} {
		if !p.mine.known {
			broken := p.mine.broken
			*p.mine = *p.theirs
			p.mine.broken = broken || p.theirs.broken
		}
		if p.mineBy != nil && !p.mineBy.known && p.mine.n >= p.theirs.n {
			broken := p.mineBy.broken
			*p.mineBy = *p.theirsBy
			p.mineBy.broken = broken || p.theirsBy.broken
		}
	}
}

// beside reports whether the total is that of thoughts beside the candidates, which is
// how Google documents it.
func (c *counts) beside() bool {
	return c.prompt.n+c.tools.n+c.candidates.n+c.thoughts.n == c.total.n
}

// inside reports whether the total is that of thoughts inside the candidates, which some
// answers of Google AI have been seen to do.
func (c *counts) inside() bool {
	return c.thoughts.n > 0 && c.thoughts.n <= c.candidates.n &&
		c.prompt.n+c.tools.n+c.candidates.n == c.total.n
}

// usage brings the counts into the convention of [llmproxy.Usage]. Where they contradict
// each other, or a number is no count, totals, cached tokens and thoughts stand as
// reported.
func (c *counts) usage() (u llmproxy.Usage, inconsistent bool) {
	n := *c
	inconsistent = n.isBroken()
	if !n.prompt.known && n.total.known {
		n.prompt.n = max(n.total.n-n.candidates.n-n.thoughts.n-n.tools.n, 0)
	}
	visible := n.candidates.n
	if n.total.known {
		switch {
		case n.beside():
		case n.inside():
			visible -= n.thoughts.n
		default:
			inconsistent = true
		}
	}
	u.PromptTokens, u.InputTool = n.prompt.n+n.tools.n, n.tools.n
	u.CompletionTokens, u.Reasoning = visible+n.thoughts.n, n.thoughts.n
	if !n.splitPrompt(&u) || !n.splitVisible(&u, visible) {
		inconsistent = true
	}
	return u, inconsistent
}

// splitPrompt splits the prompt into what was cached and what was not, by kind. What no
// list accounts for is text. It reports whether the parts fit.
func (c *counts) splitPrompt(u *llmproxy.Usage) bool {
	u.CacheRead = c.cached.n
	read := c.cached.n - c.cachedBy.sum() // text
	if c.cached.n > c.prompt.n || read < 0 {
		return false
	}
	hit, fresh := c.cachedBy.n, c.promptBy.n
	for kind := range kinds {
		if fresh[kind] == 0 {
			fresh[kind] = hit[kind] // the list of the prompt is short
		}
		if fresh[kind] -= hit[kind]; fresh[kind] < 0 {
			return false
		}
	}
	over := c.cached.n + fresh[image] + fresh[audio] + fresh[video] - c.prompt.n
	if over > 0 && !c.cachedBy.known {
		// Not said what was cached: text first.
		for _, kind := range [...]int{audio, image, video} {
			n := min(over, read, fresh[kind])
			hit[kind], fresh[kind] = n, fresh[kind]-n
			read, over = read-n, over-n
		}
	}
	if over > 0 {
		return false
	}
	// Video has no counter of its own in the cache, and the price of text there.
	u.CacheRead, u.CacheReadImage, u.CacheReadAudio = read+hit[video], hit[image], hit[audio]
	u.InputImage, u.InputAudio, u.InputVideo = fresh[image], fresh[audio], fresh[video]
	return true
}

// splitVisible splits what is not thoughts of the completion, and reports whether the
// parts fit.
func (c *counts) splitVisible(u *llmproxy.Usage, visible int64) bool {
	if c.candidatesBy.n[image]+c.candidatesBy.n[audio] > visible {
		return false
	}
	u.OutputImage, u.OutputAudio = c.candidatesBy.n[image], c.candidatesBy.n[audio]
	return true
}
