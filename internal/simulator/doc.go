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
// # WebSockets
//
// GET /responses, wherever POST is, can be upgraded. Keys and scripts are those of any
// request until then. A response.create is answered with the events of the stream of the
// same request, in lanes or one after the other as the [Manner] has it; its ids also
// depend on the numbers of the connection and of the turn. Lanes, memory, eviction,
// warm-up (generate: false, prewarm), response.steer, response.inject and
// response.interrupt are as OpenAI describes them. Where nobody does, we chose:
//
//   - response.cancel ends a response incomplete, for the reason "cancelled", with what it
//     has said; response.interrupt for "interrupted", without the item that it had begun.
//     Both have no other answer, and take effect before the next delta or call.
//   - Steering and injecting have numbers of their own. At most eight steers wait.
//   - A warm-up counts as prompt, what a cache can hold of it as written.
//   - A failed response evicts what it continued, as an error does; what is stored can
//     still be continued.
//   - Binary messages end the connection with 1003, invalid UTF-8 with 1007, its lifetime
//     with 1001.
//   - A message that is no event has an error event, and changes nothing.
//
// [Server.Connections] tells what came and what was counted. An [http.Server] does not
// close WebSockets: [Server.Close] does.
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
// more than it bills. [UsageOf] applies these rules, and [UsageOfCreate].
//
// # What it refuses
//
// What the real ones refuse and a translator is likely to get wrong: members of another
// API, roles and results out of order, ids and schemas of another style, a credential in
// the wrong place. Signatures of AWS are verified in full, but for their age.
//
// # How it misbehaves
//
// A [Script] says so, from [Options].Script or from the request header X-Simulate; a turn
// on a WebSocket has its own, from [Options].TurnScript or from metadata.simulate of its
// response.create. See [ParseScript] for the words.
package simulator
