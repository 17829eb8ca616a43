package gemini

import (
	"hash/maphash"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy/wire"
)

// searches are the distinct queries of an answer that was grounded in a web search. The
// chunks of a stream may repeat them.
type searches struct {
	queries []uint64 // their hashes
}

var querySeed = maphash.MakeSeed()

// maxQueries bounds how many queries are kept. An answer makes a handful.
const maxQueries = 256

// read reads the grounding of a candidate.
func (s *searches) read(grounding []byte) {
	if grounding == nil {
		return
	}
	for query := range wire.Elements(wire.Member(grounding, "webSearchQueries")) {
		// Google lists empty queries and charges nothing for them.
		if len(query) <= len(`""`) || query[0] != '"' {
			continue
		}
		h := maphash.Bytes(querySeed, query)
		if len(s.queries) < maxQueries && !slices.Contains(s.queries, h) {
			s.queries = append(s.queries, h)
		}
	}
}

// billed returns how many searches are charged for: each distinct query, but one for the
// whole answer with the models before Gemini 3.
func (s *searches) billed(model string) int64 {
	model = model[strings.LastIndexByte(model, '/')+1:]
	if strings.HasPrefix(model, "gemini-1.") || strings.HasPrefix(model, "gemini-2.") {
		return int64(min(len(s.queries), 1))
	}
	return int64(len(s.queries))
}
