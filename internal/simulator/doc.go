// Package simulator is a provider that needs no key, no network and no luck: an
// [http.Handler] that answers as OpenAI does, and Anthropic, Google, AWS, Cohere and
// Azure, always with the same bytes to the same request, and misbehaves exactly as told.
//
// It stands behind the demo and behind tests, and imports nothing of this module, so
// that what it says about a gateway is an independent opinion.
//
// # Who it is
//
// The path decides whose manners an answer has: see [API] and [Mount]. What no mount
// claims is OpenAI's. /v1/models is Anthropic's where anthropic-version is sent,
// /openai/v1 is Azure's where api-key is.
//
// # What it says
//
// The answer to a request is [Reply] of the last user text, one word a delta. Where the
// request has function tools and tool_choice asks for one, or the last message is the
// user's and names a tool or holds the word "tool", it calls: each tool that is named,
// else the first. The result of a tool is answered like a text. Ids and times come from a
// hash of the request body.
//
// # What it counts
//
// A token is a word ([CountTokens]). The prompt is the sum over all texts of the
// request: messages, instructions, inputs, tool outputs, and one token and the arguments
// for each earlier call; JSON that is no text counts without white space. The completion
// is the words of the answer, or one token and the words of the arguments for each call,
// times the number of choices. Models with "reason" or "think" in their name think for
// [ReasoningTokens] tokens first.
//
// A prompt of 1024 tokens or more was cached down to a multiple of 128. Anthropic's and
// Bedrock's prompts are cached where marked (cache_control, cachePoint), however short:
// one mark, and all before it is written; more, and what is before the first is read,
// what is between two is written for the time that the latter says. A cachedContent of
// Gemini adds [CachedContentTokens]. Cohere processes [PreambleTokens] and [MarkerTokens]
// more than it bills. [UsageOf] applies these rules.
//
// # What it refuses
//
// What the real ones refuse and a translator is likely to get wrong: members of another
// API, roles and results out of order, ids and schemas of another style, a credential in
// the wrong place. Signatures of AWS are verified in full, but for their age.
//
// # How it misbehaves
//
// A [Script] says so, from [Options].Script or from the request header X-Simulate; see
// [ParseScript] for the words.
package simulator
