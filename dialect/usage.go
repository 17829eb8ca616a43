package dialect

import "github.com/llmproxy/llmproxy"

// Usage brings the counts into the convention of [llmproxy.Usage].
//
// OpenAI and most look-alikes count cached and cache-written tokens inside the prompt
// and reasoning inside the completion. Some count them beside (xAI's chat: reasoning).
// The total that they report decides: if it only adds up with a part beside its total,
// that is how it is read. Without a total, a part is read as beside its total only where
// it is larger. Perplexity's deep research counts citations and reasoning beside both,
// and leaves them out of its total as well.
//
// Where no reading fits, or a number is no count, the counts are inconsistent. Nothing that was reported is lost
// then: totals, cached tokens and reasoning stand as they came, though a part is larger
// than its total. Whoever prices such a usage has to go by the totals.
func (c *Counters) Usage(convention Convention) (u llmproxy.Usage, inconsistent bool) {
	n := reading{Counters: *c, inconsistent: c.Miscounted()}
	n.complete()
	n.place()
	u = llmproxy.Usage{
		PromptTokens:       n.n[prompt] + n.n[citation],
		CompletionTokens:   n.n[completion],
		Citation:           n.n[citation],
		AcceptedPrediction: n.n[accepted],
		RejectedPrediction: n.n[rejected],
		WebSearches:        max(n.n[queries], n.n[searches]),
	}
	n.splitPrompt(&u)
	n.splitCompletion(&u, convention)
	return u, n.inconsistent
}

// A reading turns counters into usage step by step.
type reading struct {
	Counters     // made inclusive on the way
	inconsistent bool
}

// complete derives a prompt count that is not reported from those that are.
func (r *reading) complete() {
	switch {
	case r.has(cached) && r.has(missed) && !r.has(prompt):
		r.n[prompt] = r.n[cached] + r.n[missed]
		r.known |= 1 << prompt
	case r.has(cached) && r.has(missed):
		r.inconsistent = r.inconsistent || r.n[cached]+r.n[missed] != r.n[prompt]
	case r.has(total) && !r.has(prompt):
		r.n[prompt] = max(r.n[total]-r.n[completion], 0)
	}
}

// place decides which parts lie beside their totals, and moves those inside.
func (r *reading) place() {
	in, out := &r.n[prompt], &r.n[completion]
	cache, thought := r.n[cached]+r.n[written], r.n[reasoning]
	beside := struct{ cache, thought bool }{cache > *in, thought > *out}
	if r.has(prompt) && r.has(completion) && r.has(total) {
		beside.cache, beside.thought = false, false
		switch {
		case r.addsUp(0):
		case r.addsUp(thought):
			beside.thought = true
		case r.addsUp(cache):
			beside.cache = true
		case r.addsUp(cache + thought):
			beside.cache, beside.thought = true, true
		default:
			r.inconsistent = true
		}
	}
	if r.n[citation] > 0 || (r.has(citation) || r.has(queries)) && thought > *out {
		// Perplexity, whose total leaves out what is beside. Only deep research has
		// citation tokens.
		beside.thought = true
	}
	if beside.cache {
		*in += cache
	}
	if beside.thought {
		*out += thought
	}
}

// addsUp reports whether the total is that of prompt and completion with extra tokens
// beside them.
func (r *reading) addsUp(extra int64) bool {
	rest := r.n[total] - r.n[prompt] - r.n[completion] - extra
	return rest == 0 || rest == r.n[citation]
}

// splitPrompt splits the prompt. Audio and images may be cached or not; details say how
// much is, else the cache is taken to hold text first.
func (r *reading) splitPrompt(u *llmproxy.Usage) {
	room := r.n[prompt]
	if r.n[cached]+r.n[written] > room {
		r.inconsistent = true
		u.CacheRead, u.CacheWrite = r.n[cached], r.n[written]
		return
	}
	sounds, images := r.splitCached()
	read, audio, image := r.n[cached]-sounds-images, r.n[promptAudio]-sounds, r.n[promptImage]-images
	over := r.n[cached] + r.n[written] + audio + image + r.n[promptVideo] - room
	if over > 0 && !r.has(cachedAudio) && !r.has(cachedImage) {
		sounds = min(over, read, audio)
		read, audio, over = read-sounds, audio-sounds, over-sounds
		images = min(over, read, image)
		read, image, over = read-images, image-images, over-images
	}
	if over > 0 {
		r.inconsistent = true
		u.CacheRead, u.CacheWrite = r.n[cached], r.n[written]
		return
	}
	u.CacheRead, u.CacheReadAudio, u.CacheReadImage = read, sounds, images
	u.CacheWrite = r.n[written]
	u.InputAudio, u.InputImage, u.InputVideo = audio, image, r.n[promptVideo]
}

// splitCached returns how much audio and how many images were read from the cache. They
// are parts of the cached tokens as well as of the audio and images of the prompt; where
// the prompt's are not reported, they are all there is.
func (r *reading) splitCached() (sounds, images int64) {
	sounds, images = r.n[cachedAudio], r.n[cachedImage]
	if sounds+images > r.n[cached] ||
		r.has(promptAudio) && sounds > r.n[promptAudio] ||
		r.has(promptImage) && images > r.n[promptImage] {
		r.inconsistent = true
		return 0, 0
	}
	r.n[promptAudio] = max(r.n[promptAudio], sounds)
	r.n[promptImage] = max(r.n[promptImage], images)
	return sounds, images
}

// splitCompletion splits the completion.
func (r *reading) splitCompletion(u *llmproxy.Usage, convention Convention) {
	room := r.n[completion]
	if r.n[reasoning] > room {
		r.inconsistent = true
		u.Reasoning = r.n[reasoning]
		return
	}
	if convention == Images && !r.has(completionImage) {
		// Details are often absent: https://github.com/BerriAI/litellm/issues/31142
		r.n[completionImage] = max(room-r.n[completionText]-r.n[reasoning]-r.n[completionAudio], 0)
	}
	u.Reasoning = r.n[reasoning]
	if r.n[reasoning]+r.n[completionAudio]+r.n[completionImage] > room {
		r.inconsistent = true
		return
	}
	u.OutputAudio, u.OutputImage = r.n[completionAudio], r.n[completionImage]
}
