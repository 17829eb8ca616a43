package pricing

import (
	"fmt"
	"iter"
	"strings"

	"github.com/llmproxy/llmproxy"
)

// Item is one thing that is charged for.
type Item uint8

// The items. Those up to OutputImage are charged by the token, those after it by the
// call.
const (
	Input Item = iota
	InputAudio
	InputImage
	InputVideo
	InputTool
	Citation
	CacheRead
	CacheReadAudio
	CacheReadImage
	CacheWrite
	CacheWrite1h
	Output
	Reasoning
	OutputAudio
	OutputImage
	WebSearch
	WebFetch
	SearchUnit
	Request
	items // how many there are
)

// String returns the name of i in lists and in the configuration.
func (i Item) String() string {
	return [items]string{
		"input", "input_audio", "input_image", "input_video", "input_tool", "citation",
		"cache_read", "cache_read_audio", "cache_read_image", "cache_write", "cache_write_1h",
		"output", "reasoning", "output_audio", "output_image",
		"web_search", "web_fetch", "search_unit", "request",
	}[i]
}

// ByCall reports whether i is charged by the call, and not by the token.
func (i Item) ByCall() bool { return i > OutputImage }

// parseItem is the inverse of String.
func parseItem(name string) (Item, bool) {
	for i := range items {
		if i.String() == name {
			return i, true
		}
	}
	return 0, false
}

// itemNames returns the names of all items, for messages.
func itemNames() string {
	var b strings.Builder
	for i := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(i.String())
	}
	return b.String()
}

// Rates are the prices of one column of a list. The zero value states none.
type Rates struct {
	stated uint32
	pico   [items]int64 // picodollars per token, or per call
}

// Set states the price of i: dollars per million tokens, or dollars per call, as a
// decimal. The error wraps [llmproxy.ErrMoney].
func (r *Rates) Set(i Item, text string) error {
	var pico int64
	if i.ByCall() {
		usd, err := llmproxy.ParseUSD(text)
		_, decimals, _ := strings.Cut(text, ".")
		if err != nil || usd < 0 || strings.ContainsAny(text, "eE") || len(strings.TrimRight(decimals, "0")) > 12 {
			return fmt.Errorf("%s: %q is no price in dollars per call with at most twelve decimals: %w", i, text, llmproxy.ErrMoney)
		}
		pico = int64(usd)
	} else {
		rate, err := llmproxy.ParseRate(text)
		if err != nil {
			return fmt.Errorf("%s: %q is no price in dollars per million tokens with at most six decimals: %w", i, text, err)
		}
		pico = int64(rate)
	}
	return r.bounded(i, pico, text)
}

// The highest prices that are taken: a million dollars, per million tokens or
// per call. In picodollars.
const (
	dearestToken = 1_000_000 * 1_000_000
	dearestCall  = 1_000_000 * 1_000_000_000_000
)

// bounded states a price that is not too high to be one.
func (r *Rates) bounded(i Item, pico int64, text string) error {
	if !i.ByCall() && pico > dearestToken || pico > dearestCall {
		return fmt.Errorf("%s: %s is more than a million dollars: %w", i, text, llmproxy.ErrMoney)
	}
	r.put(i, pico)
	return nil
}

// SetRounded is Set for the figures of a published list: a price by the token with more
// decimals than a picodollar per token has is rounded half to even. Some lists compute in
// binary and print what comes of it, 0.049999999999999996 for 0.05.
func (r *Rates) SetRounded(i Item, text string) error {
	if i.ByCall() {
		return r.Set(i, text)
	}
	// A dollar per million tokens is a million picodollars per token: as an amount of
	// dollars the price has twelve decimals, of which the first six count.
	usd, err := llmproxy.ParseUSD(text)
	if err != nil || usd < 0 {
		return fmt.Errorf("%s: %q is no price in dollars per million tokens: %w", i, text, llmproxy.ErrMoney)
	}
	rounded, err := llmproxy.Ratio{Num: 1, Den: 1_000_000}.Of(usd)
	if err != nil {
		return fmt.Errorf("%s: %q: %w", i, text, err)
	}
	return r.bounded(i, int64(rounded), text)
}

func (r *Rates) put(i Item, pico int64) {
	r.pico[i] = pico
	r.stated |= 1 << i
}

// Pico returns the price of i in picodollars, per token or per call; ok is false where
// the list does not state it.
func (r *Rates) Pico(i Item) (pico int64, ok bool) {
	return r.pico[i], r.stated&(1<<i) != 0
}

// All yields what is stated, in the order of the items, as decimals: dollars per million
// tokens, or dollars per call.
func (r *Rates) All() iter.Seq2[Item, string] {
	return func(yield func(Item, string) bool) {
		for i := range items {
			pico, ok := r.Pico(i)
			if !ok {
				continue
			}
			text := llmproxy.Rate(pico).String()
			if i.ByCall() {
				text = llmproxy.USD(pico).String()
			}
			if !yield(i, text) {
				return
			}
		}
	}
}

// info returns what r charges, with what is not stated replaced by what it falls back
// on inside the same column. claude says that a list without the price of a write for
// one hour means twice the input, as Anthropic has it for all its models.
func (r *Rates) info(claude bool) (c llmproxy.CostInfo) {
	rate := func(i Item, otherwise llmproxy.Rate) llmproxy.Rate {
		if pico, ok := r.Pico(i); ok {
			return llmproxy.Rate(pico)
		}
		return otherwise
	}
	call := func(i Item) llmproxy.USD {
		pico, _ := r.Pico(i)
		return llmproxy.USD(pico)
	}
	c.Input = rate(Input, 0)
	c.InputAudio, c.InputImage = rate(InputAudio, c.Input), rate(InputImage, c.Input)
	c.InputVideo, c.InputTool = rate(InputVideo, c.Input), rate(InputTool, c.Input)
	c.Citation = rate(Citation, c.Input)
	c.CacheRead = rate(CacheRead, c.Input)
	c.CacheReadAudio, c.CacheReadImage = rate(CacheReadAudio, c.CacheRead), rate(CacheReadImage, c.CacheRead)
	c.CacheWrite = rate(CacheWrite, c.Input)
	long := c.CacheWrite
	if claude {
		long = 2 * c.Input
	}
	c.CacheWrite1h = rate(CacheWrite1h, long)
	c.Output = rate(Output, 0)
	c.Reasoning = rate(Reasoning, c.Output)
	c.OutputAudio, c.OutputImage = rate(OutputAudio, c.Output), rate(OutputImage, c.Output)
	c.WebSearch, c.WebFetch = call(WebSearch), call(WebFetch)
	c.SearchUnit, c.Request = call(SearchUnit), call(Request)
	return c
}
