// Package otel reports exchanges to OpenTelemetry, by its API alone: a [Meter] for
// [interceptors.Metrics], and [Tracing], an interceptor that makes a span of each exchange.
// Which SDK and exporters stand behind them is up to the program.
//
// Attributes have the names of the semantic conventions for generative AI where these have
// one, else begin with llmproxy. None holds a prompt, an answer or a credential.
package otel

// scope is the name of the instrumentation.
const scope = "github.com/llmproxy/llmproxy"
