package gateway

import (
	"log/slog"
	"reflect"
	"testing"
)

// The chain has each entry, in its place: what looks at the whole exchange outside of the
// retries, what depends on the provider inside.
func TestChain(t *testing.T) {
	t.Parallel()
	c, err := load(t, `providers:
  openai: {api_key: k}
  groq: {api_key: k}
models: {fast: {targets: [openai/gpt-5-mini, groq/llama]}}
interceptors:
  - prompt_caching: {openai: {}}
  - header_ban: {request: [X-A]}
  - add_header: {response: {X-B: b}}
  - logging: {start: info}
  - tracing: {}
  - redaction: {words: [secret]}
  - limits: {per: key, rpm: 5}
`)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(c, Parts{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	n := g.current.Load()
	var got []string
	for _, i := range c.chain(n.pools, n.quotas, nil, g.logger) {
		got = append(got, reflect.TypeOf(i).Elem().Name())
	}
	want := []string{"HeaderBan", "AddHeader", "Logging", "Tracing", "Redaction", "Limits", "Pools", "Retry", "PromptCaching"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the chain is %v, want %v", got, want)
	}
}

func TestChainFaults(t *testing.T) {
	t.Parallel()
	_, err := load(t, `providers: {openai: {api_key: k}}
interceptors:
  - limits: {per: key}
  - header_ban: {request: [A]}
    limits: {rpm: 1}
  - prompt_caching: {openai: {ttl: 1h}, anthropic: {providers: [nobody]}}
`)
	const want = `llmproxy.yaml:3:13: interceptors[0].limits: limits nothing: write rpm, tpm or concurrent
    limits: …
llmproxy.yaml:4:5: interceptors[1]: want exactly one of prompt_caching, header_ban, add_header, limits, redaction, logging and tracing in an entry
    - …
llmproxy.yaml:6:36: interceptors[2].prompt_caching.openai.ttl: openai has no such lifetime
    ttl: 1h
llmproxy.yaml:6:52: interceptors[2].prompt_caching.anthropic: no provider is named "nobody"
    anthropic: …`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
