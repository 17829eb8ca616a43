// Package dialect holds what several readers of answers have in common: how the
// OpenAI-like APIs count tokens, and how their answers name themselves and fail.
//
// A dialect is the wire format of one API; the reader of each is in a folder of its own
// below this one. They only read. Whatever they are shown, they never fail, never change
// or keep a frame, and the [llmproxy.Usage] they hand out is always consistent.
package dialect
