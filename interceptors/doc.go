// Package interceptors has what concerns every exchange, whatever its API and transport:
// logging, metrics, tracing, retries, fallbacks, limits, headers, prompt caching,
// redaction. Each is an [llmproxy.Interceptor] that works alone, and the same on a JSON
// answer, a stream and a turn of a WebSocket.
//
// Interceptors that do not read or change content leave streams as they are, byte for byte,
// and WebSocket turns on their direct path. What an exchange consumed they learn when it
// has been settled, from its record.
//
// The order that makes sense, the outermost first: [Tracing], [Logging], [Metrics],
// [Limits], [Redaction], [HeaderBan] and [AddHeader], [Pools], [Retry], [PromptCaching]. What
// depends on the provider, as prompt caching does, belongs inside of what changes it.
package interceptors
