package simulator

import (
	"slices"
	"strings"
)

// prompt is what a generation depends on, whatever the API it came by.
type prompt struct {
	model    string
	tokens   int64  // of everything that was sent
	last     string // the text to answer
	asks     bool   // last is the user's, so that it may ask for a tool
	tools    []tool
	choice   string // none, auto, required, or "=" and the name of a tool
	parallel bool   // several tools may be called
	limit    int64  // of the completion, in tokens; 0: none. Calls are not limited
}

// generation is one choice of an answer.
type generation struct {
	deltas    []string // the text, piece by piece
	calls     []toolCall
	reasoning int64 // tokens
	tokens    int64 // reasoning included
	stopped   bool  // the text broke off for want of tokens
}

func (g *generation) text() string { return strings.Join(g.deltas, "") }

// thought is what a model that thinks shows of it, in the APIs where it does. It counts
// ReasoningTokens.
const thought = "Let me think about what was said."

// thoughts are the pieces of the thought; none where there was none.
func (g *generation) thoughts() []string {
	if g.reasoning == 0 {
		return nil
	}
	return deltas(thought)
}

// generate answers p as the rules of the package and s want it.
func (s *Script) generate(p *prompt) generation {
	var g generation
	if reasons(p.model) {
		g.reasoning = ReasoningTokens
	}
	g.tokens = g.reasoning
	if s.Ending == EndAsAsked {
		g.calls = p.calls()
	}
	if len(g.calls) > 0 {
		for _, c := range g.calls {
			g.tokens += c.tokens()
		}
		return g
	}
	g.deltas = s.text(p.last)
	if s.Ending != EndAsAsked {
		g.deltas = g.deltas[:len(g.deltas)/2]
		g.stopped = s.Ending == EndIncomplete
	}
	if p.limit > 0 {
		g.reasoning = min(g.reasoning, p.limit)
		if room := p.limit - g.reasoning; int64(len(g.deltas)) > room {
			g.deltas = g.deltas[:room]
			g.stopped = true
		}
	}
	g.tokens = g.reasoning + int64(len(g.deltas)) // each delta is one word
	return g
}

// text returns the reply to last, as long as s wants it.
func (s *Script) text(last string) []string {
	words := deltas(Reply(last))
	if s.Events > 0 {
		words = repeated(words, s.Events)
	}
	if s.HugeEvent > 0 {
		huge := " " + strings.Repeat("x", s.HugeEvent-1)
		words = slices.Insert(words, (len(words)+1)/2, huge)
	}
	return words
}

// repeated returns n words that go round and round over words.
func repeated(words []string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = words[i%len(words)]
		if i > 0 && i%len(words) == 0 {
			out[i] = " " + out[i]
		}
	}
	return out
}

// usage adds up what a prompt of so many tokens and its answers consumed.
func (s *Script) usage(tokens int64, answers []generation) Usage {
	return s.total(Usage{Prompt: tokens, Cached: cached(tokens)}, answers)
}

// total adds to u what the answers consumed.
func (s *Script) total(u Usage, answers []generation) Usage {
	for i := range answers {
		u.Completion += answers[i].tokens
		u.Reasoning += answers[i].reasoning
	}
	return s.Counts.apply(u)
}
