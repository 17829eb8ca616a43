package dialect

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// Convention is what a usage object of an API leaves unsaid.
type Convention int

// The conventions.
const (
	Text   Convention = iota // output that no detail splits off is text
	Images                   // output is images where no detail says otherwise
)

// counter names one number of a usage object, whatever its spelling is.
type counter int

const (
	prompt counter = iota
	completion
	total
	cached
	missed // the uncached rest of the prompt (DeepSeek)
	written
	promptAudio
	promptImage
	promptVideo
	cachedAudio
	cachedImage
	reasoning
	completionText
	completionAudio
	completionImage
	accepted
	rejected
	citation
	queries  // searches, as Perplexity reports them
	searches // searches, as OpenRouter reports them
	counters // how many there are
)

// maxCount is the largest count that is believed: 2^50. Sums of a dozen of them fit an
// int64.
const maxCount = 1 << 50

// Counters are the counts that one answer has reported so far, in the provider's own
// convention. The zero value has none.
type Counters struct {
	n      [counters]int64
	known  uint32 // a bit for each counter that was reported
	broken uint32 // a bit for each counter whose last report is a number that is no count
}

// Reported reports whether a usage object has been read. An explicit zero counts.
func (c *Counters) Reported() bool {
	return c.has(prompt) || c.has(completion) || c.has(total)
}

// Zero reports whether no counter is above zero.
func (c *Counters) Zero() bool { return c.n == [counters]int64{} }

// Miscounted reports whether a number that was reported is no count.
func (c *Counters) Miscounted() bool { return c.broken != 0 }

// Total returns the total that the last report states.
func (c *Counters) Total() (n int64, ok bool) { return c.n[total], c.has(total) }

func (c *Counters) has(k counter) bool { return c.known>>k&1 != 0 }

// blank reports whether nothing is above zero where the report speaks of both sides.
// Servers that do not count send such objects beside the real report, or in its place.
func (c *Counters) blank() bool {
	const both = 1<<prompt | 1<<completion
	said := c.known | c.broken
	return c.Zero() && (said&both == both || said>>total&1 != 0)
}

// Read takes over the counts of a usage object of the OpenAI family, in any of its known
// spellings. Reports are cumulative: a count replaces the earlier one of its kind and is
// never added to it; one that is absent, null, negative, fractional or no number leaves
// it. An object without a prompt, completion or total count is no report (null, {},
// Groq's cache statistics) and changes nothing; nor does one that is zero throughout,
// after one that is not.
func (c *Counters) Read(usage []byte) { c.read(usage) }

// read is Read. blank says that nothing was taken over because all is zero.
func (c *Counters) read(usage []byte) (blank bool) {
	var r Counters
	for name, value := range wire.Members(usage) {
		switch string(name) {
		case "prompt_tokens", "input_tokens":
			r.set(prompt, value)
		case "completion_tokens", "output_tokens":
			r.set(completion, value)
		case "total_tokens":
			r.set(total, value)
		case "cached_tokens", "num_cached_tokens", "prompt_cache_hit_tokens":
			r.set(cached, value)
		case "prompt_cache_miss_tokens":
			r.set(missed, value)
		case "reasoning_tokens":
			r.set(reasoning, value)
		case "citation_tokens":
			r.set(citation, value)
		case "num_search_queries":
			r.set(queries, value)
		case "prompt_tokens_details", "prompt_token_details",
			"input_tokens_details", "input_token_details":
			r.readPrompt(value)
		case "completion_tokens_details", "completion_token_details",
			"output_tokens_details", "output_token_details":
			r.readCompletion(value)
		case "server_tool_use_details", "server_tool_use":
			r.set(searches, wire.Member(value, "web_search_requests"))
		}
	}
	if blank = r.blank() && !c.Zero(); blank || !r.Reported() {
		return blank
	}
	// A total belongs to the counts beside it, not to those of a later report.
	c.n[total] = 0
	c.known &^= 1 << total
	c.broken &^= 1 << total
	for k := range counters {
		if r.has(k) {
			c.n[k] = r.n[k]
		}
	}
	c.known |= r.known
	c.broken = c.broken&^r.known | r.broken
	return false
}

func (c *Counters) readPrompt(details []byte) {
	for name, value := range wire.Members(details) {
		switch string(name) {
		case "cached_tokens", "cache_read_input_tokens":
			c.set(cached, value)
		case "cache_write_tokens", "cache_creation_input_tokens":
			c.set(written, value)
		case "audio_tokens":
			c.set(promptAudio, value)
		case "image_tokens":
			c.set(promptImage, value)
		case "video_tokens":
			c.set(promptVideo, value)
		case "cached_tokens_details":
			c.set(cachedAudio, wire.Member(value, "audio_tokens"))
			c.set(cachedImage, wire.Member(value, "image_tokens"))
		}
	}
}

func (c *Counters) readCompletion(details []byte) {
	for name, value := range wire.Members(details) {
		switch string(name) {
		case "reasoning_tokens":
			c.set(reasoning, value)
		case "text_tokens":
			c.set(completionText, value)
		case "audio_tokens":
			c.set(completionAudio, value)
		case "image_tokens":
			c.set(completionImage, value)
		case "accepted_prediction_tokens":
			c.set(accepted, value)
		case "rejected_prediction_tokens":
			c.set(rejected, value)
		}
	}
}

// set takes value for k. Several spellings of one counter in one object are the same
// number said twice; where they differ, the larger one is the one that was filled in.
func (c *Counters) set(k counter, value []byte) {
	if n, ok := Count(value); ok {
		c.n[k] = max(c.n[k], n)
		c.known |= 1 << k
	} else if Miscounted(value) {
		c.broken |= 1 << k
	}
}

// Count reads a count: a number that is an integer, however spelled, not negative and at
// most 2^50. Everything else is no count.
func Count(value []byte) (n int64, ok bool) {
	n, ok = wire.Int(value)
	if n < 0 || n > maxCount {
		return 0, false
	}
	return n, ok
}

// Miscounted reports whether value is a number, but no count: a report with such a number
// contradicts itself.
func Miscounted(value []byte) bool {
	_, ok := Count(value)
	return !ok && wire.KindOf(value) == wire.Number
}

// Normalise returns what one usage object reports: ok is false where it is no report,
// and inconsistent is true where its counts contradict each other. See [Counters.Usage].
func Normalise(usage []byte, convention Convention) (u llmproxy.Usage, ok, inconsistent bool) {
	var c Counters
	c.Read(usage)
	u, inconsistent = c.Usage(convention)
	return u, c.Reported(), inconsistent
}
