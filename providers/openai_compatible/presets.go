package openai_compatible

import (
	"slices"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/dialect/ollama"
)

// Preset is what is known of one type of service.
type Preset struct {
	Type    string
	BaseURL string // the service's address without APIPath; "" where only the operator knows it
	APIPath string // where the type serves its API by itself; "" is the root
	Alias   string // another path at which the same is served; "" if there is none
	// Paths are the APIs that are served elsewhere than at APIPath. Messages is spoken
	// only where it is in here, and needs no other key.
	Paths map[llmproxy.APIType]string
	// Own are the readers of the service's own APIs, which are served beside the others on
	// its mount.
	Own    map[llmproxy.APIType]func() llmproxy.ResponseExtractor
	KeyEnv []string // environment variables that hold the key, in order; none for local servers
	Models []string // patterns of models that are this type's
	// Native are patterns of this type's models whose own names begin with the type's:
	// they are not a provider prefix and a model.
	Native []string
	// KeyHeader names the field that carries the key alone; "" means Authorization:
	// Bearer.
	KeyHeader string
	// Charge reads what the service says it charged. Nil: it states no charge, or none
	// that is all there is to pay.
	Charge dialect.Charge
	// IncludeUsage says that streams report usage only when stream_options.include_usage
	// asks for it, and that the service accepts the member.
	IncludeUsage bool
	// WebSocket says that the service has the WebSocket mode of Responses.
	WebSocket bool
}

// plain is the type of services that have no row of their own.
const plain = "openai_compatible"

// Presets returns the table of all types, one row each. The caller owns it.
//
// Where patterns of two rows match the same model, the longest decides.
func Presets() []Preset {
	const v1, anthropic = "/v1", "/anthropic/v1"
	messages := func(path string) map[llmproxy.APIType]string {
		return map[llmproxy.APIType]string{llmproxy.APIMessages: path}
	}
	return []Preset{
		{
			Type: "openai", BaseURL: "https://api.openai.com", APIPath: v1, IncludeUsage: true, WebSocket: true,
			KeyEnv: []string{"OPENAI_API_KEY"},
			Models: []string{
				"gpt-*", "o1*", "o3*", "o4*", "chatgpt-*", "codex-*", "computer-use-*",
				"text-embedding-*", "text-moderation-*", "omni-moderation-*",
				"dall-e-*", "sora-*", "whisper-*", "tts-*", "davinci-*", "babbage-*",
				"ft:gpt-*", "ft:o4-*", "ft:davinci-*", "ft:babbage-*",
			},
		},
		{
			// Streams always report usage, in x_groq.
			Type: "groq", BaseURL: "https://api.groq.com", APIPath: "/openai/v1",
			KeyEnv: []string{"GROQ_API_KEY"},
			Models: []string{
				"compound-beta*", "llama-*-versatile", "llama-*-instant",
				"whisper-large-*", "distil-whisper-*",
			},
			Native: []string{"groq/compound*"},
		},
		{
			Type: "fireworks", BaseURL: "https://api.fireworks.ai", APIPath: "/inference/v1", IncludeUsage: true,
			Paths:  messages("/inference/v1"),
			KeyEnv: []string{"FIREWORKS_API_KEY"},
			Models: []string{"accounts/*"},
			// The short names of its own models, as its embeddings guide gives them. The
			// long ones begin with accounts/, other authors' with the author.
			Native: []string{
				"fireworks/qwen3-*", "fireworks/glm-*", "fireworks/gpt-oss-*",
				"fireworks/kimi-*", "fireworks/deepseek-*",
			},
		},
		{
			Type: "xai", BaseURL: "https://api.x.ai", APIPath: v1, IncludeUsage: true, WebSocket: true, Charge: dialect.Ticks,
			KeyEnv: []string{"XAI_API_KEY"},
			Models: []string{"grok-*"},
		},
		{
			// Every chunk reports usage so far.
			Type: "perplexity", BaseURL: "https://api.perplexity.ai", APIPath: v1, Charge: dialect.TotalCost,
			Paths:  map[llmproxy.APIType]string{llmproxy.APIChatCompletions: ""},
			KeyEnv: []string{"PERPLEXITY_API_KEY"},
			Models: []string{"sonar", "sonar-*", "pplx-*"},
		},
		{
			// Has another API at /beta.
			Type: "deepseek", BaseURL: "https://api.deepseek.com", Alias: v1, IncludeUsage: true,
			Paths:  messages(anthropic),
			KeyEnv: []string{"DEEPSEEK_API_KEY"},
			Models: []string{"deepseek-*"},
		},
		{
			// Answers 422 to stream_options, and reports usage without.
			Type: "mistral", BaseURL: "https://api.mistral.ai", APIPath: v1,
			KeyEnv: []string{"MISTRAL_API_KEY"},
			Models: []string{
				"mistral-*", "ministral-*", "codestral-*", "devstral-*", "magistral-*",
				"pixtral-*", "voxtral-*", "open-mistral-*", "open-mixtral-*",
				"ft:mistral-*", "ft:ministral-*", "ft:codestral-*", "ft:open-mistral-*",
			},
		},
		{
			Type: "together", BaseURL: "https://api.together.xyz", APIPath: v1, IncludeUsage: true,
			KeyEnv: []string{"TOGETHER_API_KEY"},
			Models: []string{"togethercomputer/*"},
		},
		{
			// The last event always reports usage.
			Type: "openrouter", BaseURL: "https://openrouter.ai", APIPath: "/api/v1", Charge: dialect.Credits,
			Paths:  messages("/api/v1"),
			KeyEnv: []string{"OPENROUTER_API_KEY"},
			// It resells every author's models as author/model.
			Models: []string{"*/*"},
			Native: []string{
				"openrouter/auto", "openrouter/auto:*", "openrouter/auto-*", "openrouter/free",
				"openrouter/pareto-*", "openrouter/bodybuilder",
			},
		},
		{
			Type: "cerebras", BaseURL: "https://api.cerebras.ai", APIPath: v1, IncludeUsage: true,
			KeyEnv: []string{"CEREBRAS_API_KEY"},
			Models: []string{"gpt-oss-*", "zai-glm-*", "qwen-3-*", "llama-3.3-70b", "llama3.1-*"},
		},
		{
			Type: "moonshot", BaseURL: "https://api.moonshot.ai", APIPath: v1, IncludeUsage: true,
			Paths:  messages(anthropic),
			KeyEnv: []string{"MOONSHOT_API_KEY"},
			Models: []string{"kimi-*", "moonshot-v1-*"},
		},
		{
			// Outside China. Other regions differ by host alone.
			Type: "alibaba", BaseURL: "https://dashscope-intl.aliyuncs.com", APIPath: "/compatible-mode/v1", IncludeUsage: true,
			Paths:  messages("/apps/anthropic/v1"),
			KeyEnv: []string{"DASHSCOPE_API_KEY"},
			Models: []string{
				"qwen-max*", "qwen-plus*", "qwen-turbo*", "qwen-flash*", "qwen-vl-*",
				"qwen3-max*", "qwen3-coder-plus*", "qwen3-coder-flash*", "qwq-plus*",
			},
		},
		{
			// Streams report usage without being asked.
			Type: "zai", BaseURL: "https://api.z.ai", APIPath: "/api/paas/v4",
			Paths:  messages("/api/anthropic/v1"),
			KeyEnv: []string{"ZAI_API_KEY", "ZHIPU_API_KEY"},
			Models: []string{"glm-*"},
		},
		{
			Type: "minimax", BaseURL: "https://api.minimax.io", APIPath: v1, IncludeUsage: true,
			Paths:  messages(anthropic),
			KeyEnv: []string{"MINIMAX_API_KEY"},
			Models: []string{"minimax-*"},
		},
		{
			// What it calls estimated_cost is an estimate.
			Type: "deepinfra", BaseURL: "https://api.deepinfra.com", APIPath: "/v1/openai", IncludeUsage: true,
			Paths:  messages(anthropic),
			KeyEnv: []string{"DEEPINFRA_API_KEY"},
		},
		{
			Type: "sambanova", BaseURL: "https://api.sambanova.ai", APIPath: v1, IncludeUsage: true,
			KeyEnv: []string{"SAMBANOVA_API_KEY"},
		},
		{
			Type: "nebius", BaseURL: "https://api.tokenfactory.nebius.com", APIPath: v1, IncludeUsage: true,
			KeyEnv: []string{"NEBIUS_API_KEY"},
		},
		{
			Type: "hyperbolic", BaseURL: "https://api.hyperbolic.xyz", APIPath: v1, IncludeUsage: true,
			KeyEnv: []string{"HYPERBOLIC_API_KEY"},
		},
		{
			// Some of its models refuse members that they do not know.
			Type: "nvidia", BaseURL: "https://integrate.api.nvidia.com", APIPath: v1,
			KeyEnv: []string{"NVIDIA_API_KEY"},
		},
		// HF_TOKEN and GITHUB_TOKEN are usually set for other ends.
		{Type: "huggingface", BaseURL: "https://router.huggingface.co", APIPath: v1, IncludeUsage: true},
		{Type: "github", BaseURL: "https://models.github.ai", APIPath: "/inference", IncludeUsage: true},
		// Local servers, at the ports they choose by themselves.
		{
			Type: "ollama", BaseURL: "http://127.0.0.1:11434", APIPath: v1, Paths: messages(v1), IncludeUsage: true,
			Own: map[llmproxy.APIType]func() llmproxy.ResponseExtractor{llmproxy.APIOllama: ollama.New},
		},
		{Type: "vllm", BaseURL: "http://127.0.0.1:8000", APIPath: v1, Paths: messages(v1), IncludeUsage: true},
		{Type: "sglang", BaseURL: "http://127.0.0.1:30000", APIPath: v1, Paths: messages(v1), IncludeUsage: true},
		{Type: "llamacpp", BaseURL: "http://127.0.0.1:8080", APIPath: v1, Paths: messages(v1), IncludeUsage: true},
		{Type: "lmstudio", BaseURL: "http://127.0.0.1:1234", APIPath: v1, Paths: messages(v1), IncludeUsage: true},
		{Type: plain, APIPath: v1, IncludeUsage: true},
	}
}

// Lookup returns the row of a type.
func Lookup(name string) (p Preset, ok bool) {
	rows := Presets()
	i := slices.IndexFunc(rows, func(p Preset) bool { return p.Type == name })
	if i < 0 {
		return Preset{}, false
	}
	return rows[i], true
}

func types() (names []string) {
	for _, p := range Presets() {
		names = append(names, p.Type)
	}
	return names
}
