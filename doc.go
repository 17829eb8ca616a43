// Package llmproxy is an LLM gateway as a library: an [http.Handler] that finds the
// provider and the API of each request, forwards JSON and server-sent events byte for
// byte, and meters what the provider reports.
//
// [AutoRouter] routes over several providers, [Proxy] serves one. Both run the same
// pipeline: detect, parse, interceptors, resolve, edit, enrich, forward, settle. An
// exchange, one request with its answer, leaves exactly one [Record], however it ends.
//
// The package imports the standard library only. Providers live in providers/…, the
// readers of their answers in dialect/…; both are passed in as values.
package llmproxy
