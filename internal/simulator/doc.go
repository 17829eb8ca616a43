// Package simulator is a provider that needs no key, no network and no luck: an
// [http.Handler] that answers as OpenAI does, always with the same bytes to the same
// request, and misbehaves exactly as told.
//
// It stands behind the demo and behind tests, and imports nothing of this module, so
// that what it says about a gateway is an independent opinion.
//
// # What it says
//
// The answer to a request is [Reply] of the last user text, one word a delta. Where the
// request has function tools and tool_choice asks for one, or the last message is the
// user's and names a tool or holds the word "tool", it calls: each tool that is named,
// else the first. Ids and times come from a hash of the request body.
//
// # What it counts
//
// A token is a word ([CountTokens]). The prompt is the sum over all texts of the
// request: messages, instructions, inputs, tool outputs, and one token and the arguments
// for each earlier call. The completion is the words of the answer, or one token and the
// words of the arguments for each call, times the number of choices. A prompt of 1024
// tokens or more was cached down to a multiple of 128. Models with "reason" in their
// name think for [ReasoningTokens] tokens first. [UsageOf] applies these rules.
//
// # How it misbehaves
//
// A [Script] says so, from [Options].Script or from the request header X-Simulate; see
// [ParseScript] for the words.
package simulator
