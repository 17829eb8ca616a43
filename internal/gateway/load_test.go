package gateway

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// environment returns a lookup of pairs NAME=value.
func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, p := range pairs {
			if n, v, _ := strings.Cut(p, "="); n == name {
				return v, true
			}
		}
		return "", false
	}
}

// load loads text as a file of the name llmproxy.yaml. Paths in the error are relative
// to the file's directory.
func load(t *testing.T, text string, env ...string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "llmproxy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Source{File: file, LookupEnv: environment(env...)}.Load()
	if err != nil {
		err = fmt.Errorf("%s", strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
	}
	return c, err
}

// Each fault, as it is printed.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text, want string
		env              []string
	}{
		{
			name: "unknown key",
			text: "providers:\n  openai: {api_key: k}\nlisen: 127.0.0.1:1\n",
			want: `llmproxy.yaml:3:1: unknown key "lisen" in the configuration; did you mean "listen"?
    lisen: …`,
		},
		{
			name: "unknown key with a secret as its value",
			text: "providers:\n  openai: {api_kye: sk-canary}\n",
			want: `llmproxy.yaml:2:12: unknown key "api_kye" in providers.openai; did you mean "api_key"?
    api_kye: …`,
		},
		{
			name: "unknown key near nothing",
			text: "providers:\n  openai: {api_key: k}\nfrobnicate: 1\n",
			want: `llmproxy.yaml:3:1: unknown key "frobnicate" in the configuration
    frobnicate: …`,
		},
		{
			name: "swapped letters of a short name",
			text: "providers:\n  mine:\n    type: xia\n",
			want: `llmproxy.yaml:3:11: providers.mine.type: "xia" is no provider type; did you mean "xai"?
    type: xia`,
		},
		{
			name: "a key and its value without a space",
			text: "providers:\n  groq:\n    api_key:sk-canary\n",
			want: `llmproxy.yaml:3:5: providers.groq wants keys of its own, not a single value; put a space after the colon
    groq: …`,
		},
		{
			name: "a secret inside a key",
			text: "providers:\n  openai: {api_key: k, \"api:sk-canary\": 1}\n",
			want: `llmproxy.yaml:2:24: unknown key "api:…" in providers.openai
    api: …`,
		},
		{
			name: "a secret where the parser gives up",
			text: "providers:\n  openai:\n    headers:\n    - 'sk:canary'\n     \"canary: x\n",
			want: `llmproxy.yaml:5:6: this is not valid YAML: could not find end character of double-quoted text`,
		},
		{
			name: "an admin listener for everybody",
			text: "providers:\n  openai: {api_key: k}\nadmin: {listen: 0.0.0.0:8081}\n",
			want: `llmproxy.yaml:3:17: admin.listen: other machines can reach this address: give it a token, or listen on a loopback address such as 127.0.0.1:8081
    listen: 0.0.0.0:8081`,
		},
		{
			name: "a ledger",
			text: "providers:\n  openai: {api_key: k}\nledger:\n  url: mysql://canary\n  durability: always\n  on_store_down: x\n",
			want: `llmproxy.yaml:4:8: ledger.url: the value is no ledger: write sqlite: and a file, postgres://user@host/database, or none
    url: …
llmproxy.yaml:5:15: ledger.durability: "always" is not known here: write write or fsync
    durability: always
llmproxy.yaml:6:18: ledger.on_store_down: "x" is not known here: write deny or allow
    on_store_down: x`,
		},
		{
			name: "prices",
			text: "providers:\n  openai:\n    api_key: k\n    prices: {\"a*\": {inptu: 1}, b: {input: x}}\n    markup: -1\npricing: {markup: a, unpriced: b}\n",
			want: `llmproxy.yaml:4:14: providers.openai.prices.a*: inptu is not charged for: want one of input, input_audio, input_image, input_video, input_tool, citation, cache_read, cache_read_audio, cache_read_image, cache_write, cache_write_1h, output, reasoning, output_audio, output_image, web_search, web_fetch, search_unit, request
    a*: …
llmproxy.yaml:4:32: providers.openai.prices.b: input: "x" is no price in dollars per million tokens with at most six decimals: not an amount of money
    b: …
llmproxy.yaml:5:13: providers.openai.markup: "-1" is no factor: write a decimal number such as 1.1
    markup: -1
llmproxy.yaml:6:19: pricing.markup: "a" is no factor: write a decimal number such as 1.1
    markup: a
llmproxy.yaml:6:32: pricing.unpriced: "b" is not known here: write deny_with_budget or allow
    unpriced: b`,
		},
		{
			name: "gateway keys",
			text: "auth: {mode: keys}\nledger: {url: none}\nproviders:\n  openai: {api_key: k}\n",
			want: `llmproxy.yaml:1:14: auth.mode: keys are kept in the ledger's database, and ledger.url is none
    mode: keys`,
		},
		{
			name: "unknown auth mode",
			text: "auth: {mode: tokens}\nproviders:\n  openai: {api_key: k}\n",
			want: `llmproxy.yaml:1:14: auth.mode: "tokens" is not known here: write keys or none
    mode: tokens`,
		},
		{
			name: "a public listener",
			text: "listen: 0.0.0.0:8080\nproviders:\n  openai: {api_key: k}\n",
			want: `llmproxy.yaml:1:9: listen: other machines can reach this address, and no gateway key is asked for: write auth: {mode: keys}, listen on a loopback address such as 127.0.0.1:8080 or on a unix socket, or write insecure: true
    listen: 0.0.0.0:8080`,
		},
		{
			name: "no address",
			text: "listen: localhost\nproviders:\n  openai: {api_key: k}\n",
			want: `llmproxy.yaml:1:9: listen: "localhost" is no address: write host:port, such as 127.0.0.1:8080, or unix:/path
    listen: localhost`,
		},
		{
			name: "a port out of range",
			text: "listen: 127.0.0.1:80800\nproviders:\n  openai: {api_key: k}\n",
			want: `llmproxy.yaml:1:9: listen: "127.0.0.1:80800" has no valid port: write a number from 0 to 65535 after the colon
    listen: 127.0.0.1:80800`,
		},
		{
			name: "an unset variable",
			text: "providers:\n  openai:\n    api_key: ${OPENAI_API_KEY}\n",
			want: `llmproxy.yaml:3:14: providers.openai.api_key: the environment variable OPENAI_API_KEY is not set; set it, or write ${OPENAI_API_KEY:-default}
    api_key: …`,
		},
		{
			name: "a value of the environment that will not do",
			text: "providers:\n  openai: {api_key: k, timeout: \"${T}\"}\n",
			env:  []string{"T=canary"},
			want: `llmproxy.yaml:2:33: providers.openai.timeout: what the environment makes of it is no duration: write one such as 500ms, 10s, 15m or 1h
    timeout: ${T}`,
		},
		{
			name: "a fallback of the environment that will not do",
			text: "providers:\n  openai: {api_key: k}\nfallback: ${F}\n",
			env:  []string{"F=canary"},
			want: `llmproxy.yaml:3:11: fallback: no provider is named "…"
    fallback: ${F}`,
		},
		{
			name: "a missing key",
			text: "providers:\n  groq: {}\n",
			want: `llmproxy.yaml:2:3: providers.groq needs an api_key: write api_key: "${GROQ_API_KEY}", or client_keys: pass to forward each client's own
    groq: …`,
		},
		{
			name: "a key that comes out empty",
			text: "providers:\n  groq: {api_key: \"${GROQ_API_KEY:-}\"}\n",
			want: `llmproxy.yaml:2:19: providers.groq needs an api_key: write api_key: "${GROQ_API_KEY}", or client_keys: pass to forward each client's own
    api_key: …`,
		},
		{
			name: "a key and the client's keys",
			text: "providers:\n  groq: {api_key: k, client_keys: pass}\n",
			want: `llmproxy.yaml:2:19: providers.groq.api_key is never used: client_keys: pass sends the client's own key; leave one of the two out
    api_key: …`,
		},
		{
			name: "a key with a line break in it",
			text: "providers:\n  groq: {api_key: \"${K}\"}\n",
			env:  []string{"K=canary\n"},
			want: `llmproxy.yaml:2:19: providers.groq.api_key: spaces, line ends and other control characters have no place in it
    api_key: …`,
		},
		{
			name: "a type is needed",
			text: "providers:\n  my-vlm: {base_url: \"http://127.0.0.1:8000/v1\"}\n",
			want: `llmproxy.yaml:2:3: providers.my-vlm: its name is no type of provider, so it needs one: write type: openai_compatible and base_url for a service that speaks OpenAI's API
    my-vlm: …`,
		},
		{
			name: "a base URL is needed",
			text: "providers:\n  mine: {type: openai_compatible}\n",
			want: `llmproxy.yaml:2:3: providers.mine.base_url: missing; type openai_compatible has none of its own
    mine: …`,
		},
		{
			name: "a base URL with a password",
			text: "providers:\n  mine: {type: openai_compatible, base_url: \"http://user:canary@host\"}\n",
			want: `llmproxy.yaml:2:45: providers.mine.base_url: want an http:// or https:// URL with a host and without user, query and fragment
    base_url: …`,
		},
		{
			name: "a base URL that is the gateway",
			text: "listen: 127.0.0.1:8000\nproviders:\n  mine: {type: openai_compatible, base_url: \"http://localhost:8000\"}\n",
			want: `llmproxy.yaml:3:45: providers.mine.base_url: this is where the gateway itself listens; give one of the two another port
    base_url: …`,
		},
		{
			name: "a local server that is the gateway",
			text: "providers:\n  llamacpp: {}\n",
			want: `llmproxy.yaml:2:3: providers.llamacpp.base_url: this is where the gateway itself listens; give one of the two another port
    llamacpp: …`,
		},
		{
			name: "a header with a line break",
			text: "providers:\n  openai:\n    api_key: k\n    headers: {X-A: \"a\\ncanary\"}\n",
			want: `llmproxy.yaml:4:14: providers.openai.headers: X-A has a value with a line end or another control character
    headers: …`,
		},
		{
			name: "a header of the connection",
			text: "providers:\n  openai:\n    api_key: k\n    headers: {host: canary}\n",
			want: `llmproxy.yaml:4:14: providers.openai.headers: Host is set by the gateway
    headers: …`,
		},
		{
			name: "patterns",
			text: "providers:\n  openai: {api_key: k, models: [\"a b\", \"\"]}\n",
			want: `llmproxy.yaml:2:32: providers.openai.models: pattern 2 is empty
    models: …
llmproxy.yaml:2:33: providers.openai.models: a pattern is the name of a model, in which * stands for any characters; spaces have no place in it
    - a b`,
		},
		{
			name: "organization elsewhere than at OpenAI",
			text: "providers:\n  groq: {api_key: k, project: p}\n",
			want: `llmproxy.yaml:2:31: providers.groq.project: type groq has no such key; it belongs to providers of type openai or vertexai
    project: p`,
		},
		{
			name: "keys of other types",
			text: `providers:
  openai: {api_key: k, region: us-east-1, resource: r}
  anthropic: {api_key: k, api_path: /v1, api_version: v1}
  cohere: {api_key: k, auth_token: sk-canary, include_usage: true}
`,
			want: `llmproxy.yaml:2:32: providers.openai.region: type openai has no such key; it belongs to providers of type bedrock
    region: us-east-1
llmproxy.yaml:2:53: providers.openai.resource: type openai has no such key; it belongs to providers of type azure
    resource: r
llmproxy.yaml:3:37: providers.anthropic.api_path: type anthropic has no such key; it belongs to providers of type openai, openai_compatible and its presets
    api_path: /v1
llmproxy.yaml:3:55: providers.anthropic.api_version: type anthropic has no such key; it belongs to providers of type vertexai or azure
    api_version: v1
llmproxy.yaml:4:36: providers.cohere.auth_token: type cohere has no such key; it belongs to providers of type anthropic
    auth_token: …
llmproxy.yaml:4:62: providers.cohere.include_usage: type cohere has no such key; it belongs to providers of type openai, bedrock, azure, openai_compatible and its presets
    include_usage: true`,
		},
		{
			name: "missing keys of each type",
			text: `providers:
  openai: {}
  anthropic: {}
  googleai: {}
  vertexai: {}
  azure: {}
  cohere: {}
  huggingface: {}
  vllm: {}
`,
			want: `llmproxy.yaml:2:3: providers.openai needs an api_key: write api_key: "${OPENAI_API_KEY}", or client_keys: pass to forward each client's own
    openai: …
llmproxy.yaml:3:3: providers.anthropic needs an api_key: write api_key: "${ANTHROPIC_API_KEY}", or client_keys: pass to forward each client's own
    anthropic: …
llmproxy.yaml:4:3: providers.googleai needs an api_key: write api_key: "${GEMINI_API_KEY}", or client_keys: pass to forward each client's own
    googleai: …
llmproxy.yaml:5:3: providers.vertexai.project: missing; only an API key does without
    vertexai: …
llmproxy.yaml:6:3: providers.azure.resource: missing; want the NAME of https://NAME.openai.azure.com, or a base_url
    azure: …
llmproxy.yaml:7:3: providers.cohere needs an api_key: write api_key: "${COHERE_API_KEY}", or client_keys: pass to forward each client's own
    cohere: …
llmproxy.yaml:8:3: providers.huggingface needs an api_key: write api_key: …, or client_keys: pass to forward each client's own
    huggingface: …`,
		},
		{
			name: "credentials that exclude each other",
			text: `providers:
  anthropic: {api_key: k, auth_token: sk-canary}
  vertexai: {project: p, api_key: k, access_token: sk-canary}
  azure: {resource: r, api_key: k, access_token: sk-canary}
  bedrock: {region: us-east-1, client_keys: pass, access_key_id: a, secret_access_key: sk-canary}
  bedrock2: {type: bedrock, region: us-east-1, api_key: k, bearer_token: sk-canary}
`,
			want: `llmproxy.yaml:2:39: providers.anthropic.auth_token: only one of api_key and auth_token can be sent
    auth_token: …
llmproxy.yaml:3:52: providers.vertexai.access_token: there is another credential; want one
    access_token: …
llmproxy.yaml:4:50: providers.azure.access_token: there is another credential; want one
    access_token: …
llmproxy.yaml:5:66: providers.bedrock.access_key_id is never used: client_keys: pass sends the client's own key; leave one of the two out
    access_key_id: …
llmproxy.yaml:6:74: providers.bedrock2.bearer_token: api_key is the same; want one of the two
    bearer_token: …`,
		},
		{
			name: "what each cloud refuses",
			text: `providers:
  bedrock: {region: Frankfurt, access_key_id: a}
  vertexai: {project: My Project, location: Iowa}
  azure: {resource: "https://r.openai.azure.com", api_version: latest!, deployment: ..}
  mine: {type: openai_compatible, base_url: "http://h", paths: {chat: /v1}, api_key_header: "a b"}
  two: {type: openai_compatible, base_url: "http://h", query: {"": x}}
  aws: {type: bedrock, region: us-east-1, access_key_id: a}
  aws2: {type: bedrock, region: us-east-1, api_key: "canary canary"}
`,
			want: `llmproxy.yaml:2:21: providers.bedrock.region: want an AWS region, such as us-east-1
    region: Frankfurt
llmproxy.yaml:3:23: providers.vertexai.project: want the id or the number of a project
    project: My Project
llmproxy.yaml:3:45: providers.vertexai.location: want a region such as us-central1, or us, eu or global
    location: Iowa
llmproxy.yaml:4:21: providers.azure.resource: want the name alone: the NAME of https://NAME.openai.azure.com
    resource: https://r.openai.azure.com
llmproxy.yaml:4:64: providers.azure.api_version: want a date such as 2024-10-21 or 2025-04-01-preview, or none for /openai/v1
    api_version: latest!
llmproxy.yaml:4:85: providers.azure.deployment: want a name, not . or ..
    deployment: ..
llmproxy.yaml:5:64: providers.mine.paths: one of the APIs is unknown; want chat_completions, completions, responses, embeddings, images or messages
    paths: …
llmproxy.yaml:5:93: providers.mine.api_key_header: want the name of a header field, such as api-key
    api_key_header: a b
llmproxy.yaml:6:63: providers.two.query: a parameter has no name
    query: …
llmproxy.yaml:7:3: providers.aws.secret_access_key: missing; access_key_id is there
    aws: …
llmproxy.yaml:8:53: providers.aws2.api_key: spaces, line ends and other control characters have no place in it
    api_key: …`,
		},
		{
			name: "names that are prefixes",
			text: "providers:\n  googleai: {api_key: k}\n  gemini: {type: vertexai, project: p}\n  google: {type: openai_compatible, base_url: \"http://h\"}\n",
			want: `llmproxy.yaml:3:3: providers: "gemini" is a prefix on the models of googleai as well: choose another name
    gemini: …
llmproxy.yaml:4:3: providers: "google" is a prefix on the models of googleai as well: choose another name
    google: …`,
		},
		{
			name: "base URLs with passwords",
			text: `providers:
  anthropic: {api_key: k, base_url: "http://user:canary@host"}
  googleai: {api_key: k, base_url: "http://user:canary@host"}
  vertexai: {project: p, base_url: "http://user:canary@host"}
  bedrock: {region: us-east-1, base_url: "http://user:canary@host"}
  azure: {base_url: "http://user:canary@host"}
  cohere: {api_key: k, base_url: "http://user:canary@host"}
`,
			want: `llmproxy.yaml:2:37: providers.anthropic.base_url: want an http:// or https:// URL with a host and without user, query and fragment
    base_url: …
llmproxy.yaml:3:36: providers.googleai.base_url: want an http:// or https:// URL with a host and without user, query and fragment
    base_url: …
llmproxy.yaml:4:36: providers.vertexai.base_url: want an http:// or https:// URL with a host and without user, query and fragment
    base_url: …
llmproxy.yaml:5:42: providers.bedrock.base_url: want an http:// or https:// URL with a host and without user, query and fragment
    base_url: …
llmproxy.yaml:6:21: providers.azure.base_url: want an http:// or https:// URL with a host and without user, query and fragment
    base_url: …
llmproxy.yaml:7:34: providers.cohere.base_url: want an http:// or https:// URL with a host and without user, query and fragment
    base_url: …`,
		},
		{
			name: "a text where a mapping is wanted",
			text: "providers:\n  mine: {type: openai_compatible, base_url: \"http://h\", paths: /v1, query: [sk-canary]}\n",
			want: `llmproxy.yaml:2:64: providers.mine.paths wants keys of its own, not a single value
    paths: …
llmproxy.yaml:2:76: providers.mine.query wants keys of its own, not a list
    query: …`,
		},
		{
			name: "client_keys",
			text: "providers:\n  groq: {client_keys: true}\n",
			want: `llmproxy.yaml:2:23: providers.groq.client_keys: "true" is not known here: write pass
    client_keys: true`,
		},
		{
			name: "include_usage",
			text: "providers:\n  groq: {api_key: k, include_usage: yes}\n",
			want: `llmproxy.yaml:2:37: providers.groq.include_usage: "yes" is neither true nor false
    include_usage: yes`,
		},
		{
			name: "names that would hide a path",
			text: "providers:\n  v1: {}\n  Chat: {}\n",
			want: `llmproxy.yaml:2:3: providers: "v1" would hide the path /v1: choose another name
    v1: …
llmproxy.yaml:3:3: providers: "Chat" would hide the path /chat: choose another name
    Chat: …`,
		},
		{
			name: "names that are none",
			text: "providers:\n  a/b: {}\n  \"\": {}\n  ..: {}\n  é: {}\n",
			want: `llmproxy.yaml:2:3: providers: "a/b" holds more than letters, digits, dot, underscore and hyphen
    a/b: …
llmproxy.yaml:3:3: providers: "" is empty: a provider needs a name
    : …
llmproxy.yaml:4:3: providers: ".." cannot be the segment of a path
    ..: …
llmproxy.yaml:5:3: providers: "é" holds more than letters, digits, dot, underscore and hyphen
    é: …`,
		},
		{
			name: "a fallback that is not there",
			text: "providers:\n  openai: {api_key: k}\nfallback: opnai\n",
			want: `llmproxy.yaml:3:11: fallback: no provider is named "opnai"; did you mean "openai"?
    fallback: opnai`,
		},
		{
			name: "a host with a port",
			text: "providers:\n  openai: {api_key: k}\nhosts: [\"a.example:80\"]\n",
			want: `llmproxy.yaml:3:9: hosts[0]: "a.example:80" is no host: write a name such as gateway.internal, without a port
    - a.example:80`,
		},
		{
			name: "an origin with a path",
			text: "providers:\n  openai: {api_key: k}\norigins: [\"http://localhost:3000/ui\"]\n",
			want: `llmproxy.yaml:3:11: origins[0]: "http://localhost:3000/ui" is no origin: write one such as https://ui.example.com, without a path
    - http://localhost:3000/ui`,
		},
		{
			name: "limits",
			text: "providers:\n  openai: {api_key: k}\nlimits:\n  request_body: 12 parsecs\n  upload: 0\n  frame: 9999999999GiB\n  concurrent: many\n  stream_idle_timeout: 10\n",
			want: `llmproxy.yaml:4:17: limits.request_body: "12 parsecs" is no size: write one such as 64MiB, 1GB, or a number of bytes
    request_body: 12 parsecs
llmproxy.yaml:5:11: limits.upload: "0" must be more than 0; leave the key out for the default
    upload: 0
llmproxy.yaml:6:10: limits.frame: "9999999999GiB" is too large
    frame: 9999999999GiB
llmproxy.yaml:7:15: limits.concurrent: "many" is no number: write one such as 10000
    concurrent: many
llmproxy.yaml:8:24: limits.stream_idle_timeout: "10" is no duration: write one such as 500ms, 10s, 15m or 1h
    stream_idle_timeout: 10`,
		},
		{
			name: "disconnect",
			text: "providers:\n  openai: {api_key: k}\ndisconnect: {policy: stay, max: -1s}\n",
			want: `llmproxy.yaml:3:22: disconnect.policy: "stay" is not known here: write drain or cancel
    policy: stay
llmproxy.yaml:3:33: disconnect.max: "-1s" must be more than 0; leave the key out for the default
    max: -1s`,
		},
		{
			name: "log",
			text: "providers:\n  openai: {api_key: k}\nlog: {level: loud, format: xml}\n",
			want: `llmproxy.yaml:3:14: log.level: "loud" is no level: write debug, info, warn or error
    level: loud
llmproxy.yaml:3:28: log.format: "xml" is not known here: write text or json
    format: xml`,
		},
		{
			name: "a key twice",
			text: "providers:\n  openai: {api_key: k}\n  openai: {api_key: l}\n",
			want: `llmproxy.yaml:3:3: the key "openai" stands here twice; the first is on line 2`,
		},
		{
			name: "lists and mappings in the wrong place",
			text: "listen: [a]\nproviders: [openai]\nlimits: 3\n",
			want: `llmproxy.yaml:1:9: listen wants one value, not a list
    listen: …
llmproxy.yaml:2:12: providers wants keys of its own, not a list
    providers: …
llmproxy.yaml:3:9: limits wants keys of its own, not a single value
    limits: …`,
		},
		{
			name: "no mapping at all",
			text: "just a sentence\n",
			want: `llmproxy.yaml:1:1: the configuration wants keys of its own, not a single value`,
		},
		{
			name: "an unquoted reference in braces",
			text: "providers:\n  openai: {api_key: ${OPENAI_API_KEY}, timeout: 1s}\n",
			want: "llmproxy.yaml:2:22: this is not valid YAML: ',' or '}' must be specified (between { and }, put quotes around \"${…}\")\n    openai: …",
		},
		{
			name: "an unclosed quote around a secret",
			text: "providers:\n  openai:\n    api_key: \"sk-canary\n",
			want: `llmproxy.yaml:3:14: this is not valid YAML: could not find end character of double-quoted text
    api_key: …`,
		},
		{
			name: "two documents",
			text: "providers:\n  openai: {api_key: k}\n---\nlisten: 127.0.0.1:1\n",
			want: `llmproxy.yaml:4:1: a second document begins here; a configuration is one document`,
		},
		{
			name: "an alias of nothing",
			text: "providers:\n  openai: {api_key: k}\nlimits: *shared\n",
			want: `llmproxy.yaml:3:9: no anchor of the name *shared comes before this line`,
		},
		{
			name: "everything at once, in the order of the file",
			text: "lisen: a\nproviders:\n  openai: {api_kye: canary, timeout: soon}\n  grok: {api_key: k}\nfallback: x\n",
			want: `llmproxy.yaml:1:1: unknown key "lisen" in the configuration; did you mean "listen"?
    lisen: …
llmproxy.yaml:3:12: unknown key "api_kye" in providers.openai; did you mean "api_key"?
    api_kye: …
llmproxy.yaml:3:38: providers.openai.timeout: "soon" is no duration: write one such as 500ms, 10s, 15m or 1h
    timeout: soon
llmproxy.yaml:4:3: providers.grok: its name is no type of provider, so it needs one: write type: openai_compatible and base_url for a service that speaks OpenAI's API; did you mean "groq"?
    grok: …
llmproxy.yaml:5:11: fallback: no provider is named "x"
    fallback: x`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, tt.text, tt.env...)
			if err == nil {
				t.Fatalf("no fault, want\n%s", tt.want)
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret is shown: %s", err)
			}
		})
	}
}

func TestListenFlag(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "llmproxy.yaml")
	// The flag takes the place of an address that would be refused.
	if err := os.WriteFile(file, []byte("listen: 0.0.0.0:80\nproviders: {openai: {api_key: k}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ listen, address, fault string }{
		{"127.0.0.1:0", "127.0.0.1:0", ""},
		{"unix:sock", "unix:sock", ""}, // relative to the working directory
		{"nonsense", "", `--listen: "nonsense" is no address: write host:port, such as 127.0.0.1:8080, or unix:/path`},
		{":80", "", `listen: other machines can reach this address, and no gateway key is asked for: write auth: {mode: keys}, listen on a loopback address such as 127.0.0.1:8080 or on a unix socket, or write insecure: true`},
	} {
		c, err := Source{File: file, Listen: tt.listen, LookupEnv: environment()}.Load()
		switch {
		case err != nil && err.Error() != tt.fault:
			t.Errorf("--listen %s: got %q, want %q", tt.listen, err, tt.fault)
		case err == nil && c.Listen.String() != tt.address:
			t.Errorf("--listen %s: listens on %s, want %s", tt.listen, c.Listen, tt.address)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	got, err := load(t, `
listen: unix:run/llmproxy.sock
insecure: ${INSECURE:-false}
providers:
  zeta: &local
    type: openai_compatible
    base_url: http://127.0.0.1:8000/v1
    api_path: /api
    models: ["qwen3-*", 3.50]
    headers: {X-Team: "${TEAM}", X-Price: $$5}
    timeout: 1m30s
    include_usage: false
  alpha:
    <<: *local
    api_key: ${KEY}
    models: one
  openai: {client_keys: pass, organization: org-1, project: proj_1}
  groq:
    api_key: '${KEY}'
fallback: alpha
disconnect: {policy: cancel}
limits: {request_body: 1KiB, upload: 2 GB, header: 4096, frame: 3M, concurrent: 7,
  read_header_timeout: 1s, response_header_timeout: 2s, stream_idle_timeout: 3s, client_idle_timeout: 4s}
shutdown_timeout: 5s
log: {format: json, level: WARN}
`[1:], `KEY=sk:"'#{}`, "TEAM=a: b #")
	if err != nil {
		t.Fatal(err)
	}
	no := false
	headers := map[string]string{"X-Team": "a: b #", "X-Price": "$5"}
	want := &Config{
		Listen: Address{"unix", filepath.Join(filepath.Dir(got.File), "run/llmproxy.sock")},
		Auth:   Auth{Mode: "none"},
		Providers: []ProviderConfig{
			{
				Name: "zeta", Type: "openai_compatible", BaseURL: "http://127.0.0.1:8000/v1", APIPath: "/api",
				Models: []string{"qwen3-*", "3.50"}, Headers: headers, Timeout: Duration(90 * time.Second), IncludeUsage: &no,
			},
			{
				Name: "alpha", Type: "openai_compatible", BaseURL: "http://127.0.0.1:8000/v1", APIPath: "/api",
				APIKey: `sk:"'#{}`, Models: []string{"one"}, Headers: headers, Timeout: Duration(90 * time.Second), IncludeUsage: &no,
			},
			{Name: "openai", Type: "openai", ClientKeys: "pass", Organization: "org-1", Project: "proj_1"},
			{Name: "groq", Type: "groq", APIKey: `sk:"'#{}`},
		},
		Fallback:   "alpha",
		Disconnect: Disconnect{Policy: "cancel", Max: Duration(30 * time.Second)},
		Pricing:    Pricing{Source: "embedded", Unpriced: "deny_with_budget"},
		Ledger:     Ledger{URL: LedgerURL("sqlite:" + filepath.Join(filepath.Dir(got.File), "llmproxy.db")), OnStoreDown: "deny"},
		Limits: Limits{
			RequestBody: 1024, Upload: 2e9, Header: 4096, Frame: 3 << 20, Concurrent: 7,
			ReadHeaderTimeout: Duration(time.Second), ResponseHeaderTimeout: Duration(2 * time.Second),
			StreamIdleTimeout: Duration(3 * time.Second), ClientIdleTimeout: Duration(4 * time.Second),
		},
		ShutdownTimeout: Duration(5 * time.Second),
		Log:             Log{Format: "json", Level: slog.LevelWarn},
		File:            got.File,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(ProviderConfig{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A file with one provider, and no more, has everything else by itself.
func TestDefaults(t *testing.T) {
	t.Parallel()
	got, err := load(t, "\ufeffproviders: {ollama: }\r\n")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Listen:          Address{"tcp", "127.0.0.1:8080"},
		Auth:            Auth{Mode: "none"},
		Providers:       []ProviderConfig{{Name: "ollama", Type: "ollama"}},
		Disconnect:      Disconnect{Policy: "drain", Max: Duration(30 * time.Second)},
		Pricing:         Pricing{Source: "embedded", Unpriced: "deny_with_budget"},
		Ledger:          Ledger{URL: LedgerURL("sqlite:" + filepath.Join(filepath.Dir(got.File), "llmproxy.db")), OnStoreDown: "deny"},
		Limits:          Limits{ReadHeaderTimeout: Duration(10 * time.Second)},
		ShutdownTimeout: Duration(30 * time.Second),
		Log:             Log{Format: "text"},
		File:            got.File,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(ProviderConfig{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env  []string
		want []ProviderConfig
	}{
		{
			[]string{"GROQ_API_KEY=g", "OPENAI_API_KEY=o", "XAI_API_KEY="},
			[]ProviderConfig{{Name: "openai", Type: "openai", APIKey: "o"}, {Name: "groq", Type: "groq", APIKey: "g"}},
		},
		{
			[]string{"ANTHROPIC_API_KEY=a", "ANTHROPIC_AUTH_TOKEN=t", "GOOGLE_AI_API_KEY=b", "GOOGLE_API_KEY=c"},
			[]ProviderConfig{{Name: "anthropic", Type: "anthropic", APIKey: "a"}, {Name: "googleai", Type: "googleai", APIKey: "c"}},
		},
		{[]string{"GEMINI_API_KEY=a", "GOOGLE_API_KEY=b"}, []ProviderConfig{{Name: "googleai", Type: "googleai", APIKey: "a"}}},
		{[]string{"GOOGLE_AI_API_KEY=a"}, []ProviderConfig{{Name: "googleai", Type: "googleai", APIKey: "a"}}},
		{[]string{"COHERE_API_KEY=a", "CO_API_KEY=b"}, []ProviderConfig{{Name: "cohere", Type: "cohere", APIKey: "a"}}},
		{[]string{"CO_API_KEY=b"}, []ProviderConfig{{Name: "cohere", Type: "cohere", APIKey: "b"}}},
		{
			[]string{"AZURE_OPENAI_RESOURCE=r", "AZURE_OPENAI_API_KEY=k"},
			[]ProviderConfig{{Name: "azure", Type: "azure", Resource: "r", APIKey: "k"}},
		},
		{
			[]string{"AZURE_OPENAI_RESOURCE=r", "AZURE_OPENAI_API_KEY=k", "AZURE_OPENAI_DEPLOYMENT=d", "AZURE_OPENAI_API_VERSION=2024-10-21"},
			[]ProviderConfig{{Name: "azure", Type: "azure", Resource: "r", APIKey: "k", Deployment: "d", APIVersion: "2024-10-21"}},
		},
		{
			[]string{"AWS_DEFAULT_REGION=us-west-2", "AWS_BEARER_TOKEN_BEDROCK=t"},
			[]ProviderConfig{{Name: "bedrock", Type: "bedrock", Region: "us-west-2", BearerToken: "t"}},
		},
		{
			[]string{"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-west-2", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"},
			[]ProviderConfig{{Name: "bedrock", Type: "bedrock", Region: "us-east-1"}},
		},
		{[]string{"AWS_REGION=us-east-1", "AWS_PROFILE=p"}, []ProviderConfig{{Name: "bedrock", Type: "bedrock", Region: "us-east-1"}}},
		{[]string{"AWS_REGION=us-east-1", "AWS_WEB_IDENTITY_TOKEN_FILE=f"}, []ProviderConfig{{Name: "bedrock", Type: "bedrock", Region: "us-east-1"}}},
		{[]string{"AWS_REGION=us-east-1", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/f"}, []ProviderConfig{{Name: "bedrock", Type: "bedrock", Region: "us-east-1"}}},
		{[]string{"AWS_REGION=us-east-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI=/f"}, []ProviderConfig{{Name: "bedrock", Type: "bedrock", Region: "us-east-1"}}},
		{[]string{"ZAI_API_KEY=a", "ZHIPU_API_KEY=b"}, []ProviderConfig{{Name: "zai", Type: "zai", APIKey: "a"}}},
	} {
		// A file that names no provider leaves that to the environment.
		for _, text := range []string{"", "listen: 127.0.0.1:8080\n", "# nothing\n", "---\n"} {
			c, err := load(t, text, tt.env...)
			if err != nil {
				t.Errorf("%q, %q: %v", tt.env, text, err)
				continue
			}
			if diff := cmp.Diff(tt.want, c.Providers, cmpopts.IgnoreUnexported(ProviderConfig{})); diff != "" {
				t.Errorf("%q, %q: -want +got:\n%s", tt.env, text, diff)
			}
			if len(c.Incomplete) > 0 {
				t.Errorf("%q: %v", tt.env, c.Incomplete)
			}
		}
	}
}

// What is wrong with a value of the environment is said under the variable's name.
func TestEnvironmentFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env  []string
		want string
	}{
		{[]string{"OPENAI_API_KEY=canary canary"}, "OPENAI_API_KEY: spaces, line ends and other control characters have no place in it"},
		{[]string{"ANTHROPIC_API_KEY=canary canary"}, "ANTHROPIC_API_KEY: spaces, line ends and other control characters have no place in it"},
		{[]string{"GOOGLE_API_KEY=canary canary"}, "GOOGLE_API_KEY: spaces, line ends and other control characters have no place in it"},
		{[]string{"CO_API_KEY=canary canary"}, "CO_API_KEY: spaces, line ends and other control characters have no place in it"},
		{
			[]string{"AZURE_OPENAI_RESOURCE=https://canary.openai.azure.com", "AZURE_OPENAI_API_KEY=k"},
			"AZURE_OPENAI_RESOURCE: want the name alone: the NAME of https://NAME.openai.azure.com",
		},
		{
			[]string{"AZURE_OPENAI_RESOURCE=r", "AZURE_OPENAI_API_KEY=k", "AZURE_OPENAI_API_VERSION=canary"},
			"AZURE_OPENAI_API_VERSION: want a date such as 2024-10-21 or 2025-04-01-preview, or none for /openai/v1",
		},
		{[]string{"AWS_REGION=Canary", "AWS_BEARER_TOKEN_BEDROCK=t"}, "AWS_REGION: want an AWS region, such as us-east-1"},
		{
			[]string{"AWS_DEFAULT_REGION=us-east-1", "AWS_BEARER_TOKEN_BEDROCK=canary canary"},
			"AWS_BEARER_TOKEN_BEDROCK: spaces, line ends and other control characters have no place in it",
		},
	} {
		if _, err := load(t, "", tt.env...); err == nil || err.Error() != tt.want {
			t.Errorf("%q: got %v, want %s", tt.env, err, tt.want)
		}
	}
}

// Half of what a provider needs is no provider, and is not passed over in silence where a
// secret is set.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env  []string
		want []Incomplete
	}{
		{[]string{"AZURE_OPENAI_API_KEY=k"}, []Incomplete{{"azure", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_RESOURCE"}}},
		{[]string{"AZURE_OPENAI_RESOURCE=r"}, nil},
		{[]string{"AWS_BEARER_TOKEN_BEDROCK=k"}, []Incomplete{{"bedrock", "AWS_BEARER_TOKEN_BEDROCK", "AWS_REGION or AWS_DEFAULT_REGION"}}},
		// Most machines that have these have them for other ends.
		{[]string{"AWS_REGION=us-east-1"}, nil},
		{[]string{"AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "AWS_PROFILE=p"}, nil},
		{[]string{"HF_TOKEN=a", "GITHUB_TOKEN=b", "ANTHROPIC_AUTH_TOKEN=c"}, nil},
	} {
		c, err := load(t, "", append(tt.env, "OPENAI_API_KEY=o")...)
		if err != nil {
			t.Errorf("%q: %v", tt.env, err)
			continue
		}
		if names := c.providerNames(); len(names) != 1 || names[0] != "openai" {
			t.Errorf("%q: got the providers %s", tt.env, names)
		}
		if diff := cmp.Diff(tt.want, c.Incomplete); diff != "" {
			t.Errorf("%q: -want +got:\n%s", tt.env, diff)
		}
	}
}

func TestNoProviders(t *testing.T) {
	t.Parallel()
	_, err := load(t, "listen: 127.0.0.1:8080\n", "AZURE_OPENAI_API_KEY=canary")
	var presets strings.Builder
	for _, p := range openai_compatible.Presets() {
		if p.Type != "openai" && len(p.KeyEnv) > 0 {
			fmt.Fprintf(&presets, "    %-12s%s\n", p.Type, strings.Join(p.KeyEnv, " or "))
		}
	}
	want := `no provider is configured

llmproxy.yaml names none, and the environment has not what one needs:

    openai      OPENAI_API_KEY
    anthropic   ANTHROPIC_API_KEY
    googleai    GEMINI_API_KEY, GOOGLE_API_KEY or GOOGLE_AI_API_KEY
    bedrock     AWS_REGION or AWS_DEFAULT_REGION, and AWS_BEARER_TOKEN_BEDROCK, AWS_ACCESS_KEY_ID, AWS_PROFILE or the like
    azure       AZURE_OPENAI_RESOURCE, and AZURE_OPENAI_API_KEY
    cohere      COHERE_API_KEY or CO_API_KEY
` + presets.String() + `
AZURE_OPENAI_API_KEY is set and AZURE_OPENAI_RESOURCE is not, so there is no provider azure.

Set the variables of one, write a llmproxy.yaml, or run "llmproxy demo", which needs no key.`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestUnreadableFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct{ file, want string }{
		{filepath.Join(dir, "none.yaml"), "none.yaml: cannot be read: no such file or directory"},
		{dir, ": cannot be read: is a directory"},
	} {
		_, err := Source{File: tt.file, LookupEnv: environment("OPENAI_API_KEY=k")}.Load()
		if err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want …%s", tt.file, err, tt.want)
		}
	}
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, []byte(strings.Repeat("# x\n", maxFile/4+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Source{File: large}.Load()
	if err == nil || !strings.HasSuffix(err.Error(), "large.yaml: is larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
listen: :8080
insecure: true
providers:
  one: {type: openai_compatible, base_url: "http://h", models: ["Qwen*", "a-*-c", "x*"]}
  two: {type: openai_compatible, base_url: "http://h", models: ["*3-8b", "a-b-*", "qwen*", "y*"]}
  work: {type: googleai, api_key: k}
  play: {type: googleai, api_key: k}
`[1:])
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`2:11: insecure: whoever can reach the listener can spend the providers' keys
    insecure: true`,
		`7:3: providers.play: models that begin with google/ or gemini/ go to work, which comes first in the file
    play: …`,
		`5:65: providers.two.models: "*3-8b" and "Qwen*" of one are equally long and can match the same model; one comes first in the file and gets it
    - *3-8b`,
		`5:74: providers.two.models: "a-b-*" and "a-*-c" of one are equally long and can match the same model; one comes first in the file and gets it
    - a-b-*`,
		`5:83: providers.two.models: "qwen*" and "Qwen*" of one are equally long and can match the same model; one comes first in the file and gets it
    - qwen*`,
	}
	var got []string
	for _, w := range c.Warnings {
		got = append(got, strings.TrimPrefix(w.String(), c.File+":"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The example is valid, and leaves nothing out but what it says.
func TestExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../llmproxy.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := load(t, string(text), "OPENAI_API_KEY=o", "ANTHROPIC_API_KEY=a", "GEMINI_API_KEY=g", "COHERE_API_KEY=c",
		"GROQ_API_KEY=g", "AZURE_OPENAI_API_KEY=z")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
	limits := c.limits()
	defaults := llmproxy.Limits{
		RequestBody: 64 << 20, Upload: 1 << 30, Header: 64 << 10, Frame: 64 << 20, Concurrent: 10_000,
		ResponseHeaderTimeout: 15 * time.Minute, StreamIdleTimeout: 10 * time.Minute, ClientIdleTimeout: 2 * time.Minute,
		WebSocket: llmproxy.WebSocketLimits{
			Message: 64 << 20, Turns: 256, Total: 10_000, PerKey: 100, FirstMessage: time.Minute, Idle: 10 * time.Minute,
			Lifetime: time.Hour, Ping: 25 * time.Second,
		},
	}
	if limits != defaults {
		t.Errorf("the example's limits are %+v, want the root's defaults %+v", limits, defaults)
	}
	for _, key := range append(keysOf(reflect.TypeFor[Config]()), keysOf(reflect.TypeFor[ProviderConfig]())...) {
		if !regexp.MustCompile(`(?m)(^|[ {#])` + key + `:`).Match(text) {
			t.Errorf("the example does not mention %s", key)
		}
	}
}

// keysOf returns the keys of a struct and of the structs in it.
func keysOf(t reflect.Type) (keys []string) {
	for _, f := range reflect.VisibleFields(t) {
		if tag := f.Tag.Get("yaml"); tag != "" && tag != "-" {
			keys = append(keys, tag)
			if f.Type.Kind() == reflect.Struct {
				keys = append(keys, keysOf(f.Type)...)
			}
		}
	}
	return keys
}
