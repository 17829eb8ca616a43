package gateway

import (
	"net/url"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/anthropic"
	"github.com/llmproxy/llmproxy/providers/azure"
	"github.com/llmproxy/llmproxy/providers/bedrock"
	"github.com/llmproxy/llmproxy/providers/cohere"
	"github.com/llmproxy/llmproxy/providers/googleai"
	"github.com/llmproxy/llmproxy/providers/openai"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
	"github.com/llmproxy/llmproxy/providers/vertexai"
)

// A providerType is a kind of provider that a configuration can name.
type providerType struct {
	name string
	// keys are those of a configuration that not every type has. The keys that no type
	// lists are everybody's.
	keys []string
	// env are the variables that make a provider where no file names any; none for types
	// that only a file can have.
	env []variable
	// keyless says what answers without an api_key: a local server, or a cloud whose
	// credentials are found where the program runs.
	keyless bool
	build   func(ProviderConfig) (llmproxy.Provider, error)
}

// catalog lists everything that the binary knows by name.
func catalog() []providerType {
	types := []providerType{
		{openai.Type, append(compatibleKeys(), "organization", "project"), apiKey("OPENAI_API_KEY"), false, compatible(openai.New)},
		{anthropic.Type, []string{"auth_token"}, apiKey(anthropic.KeyEnv), false, newAnthropic},
		{googleai.Type, nil, apiKey("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_AI_API_KEY"), false, newGoogleAI},
		{vertexai.Type, []string{"project", "location", "api_version", "access_token"}, nil, true, newVertexAI},
		{bedrock.Type, []string{"region", "profile", "fips", "bearer_token", "access_key_id", "secret_access_key", "session_token", "include_usage"}, awsVariables(), true, newBedrock},
		{azure.Type, []string{"resource", "deployment", "api_version", "access_token", "include_usage"}, azureVariables(), true, newAzure},
		{cohere.Type, nil, apiKey("COHERE_API_KEY", "CO_API_KEY"), false, newCohere},
	}
	for _, p := range openai_compatible.Presets() {
		if p.Type != openai.Type {
			types = append(types, providerType{p.Type, compatibleKeys(), apiKey(p.KeyEnv...), isLocal(p), compatible(openai_compatible.New)})
		}
	}
	return types
}

// compatibleKeys are the keys of services that are called like OpenAI's.
func compatibleKeys() []string {
	return []string{"api_path", "paths", "query", "api_key_header", "include_usage", "websocket"}
}

// isLocal reports whether the services of a preset are, as far as is known, of the
// operator's own.
func isLocal(p openai_compatible.Preset) bool {
	u, err := url.Parse(p.BaseURL)
	return err != nil || u.Host == "" || Address{"tcp", u.Host}.Loopback()
}

func findType(name string) (providerType, bool) {
	types := catalog()
	i := slices.IndexFunc(types, func(t providerType) bool { return t.name == name })
	if i < 0 {
		return providerType{}, false
	}
	return types[i], true
}

func typeNames() (names []string) {
	for _, t := range catalog() {
		names = append(names, t.name)
	}
	return names
}

// ownersOf names the types that have a key; "" where all have it.
func ownersOf(key string) string {
	var names []string
	for _, t := range catalog() {
		if slices.Contains(t.keys, key) {
			names = append(names, t.name)
		}
	}
	// They share their keys with the plain type.
	if plain, ok := openai_compatible.Lookup("openai_compatible"); ok && slices.Contains(names, plain.Type) {
		names = slices.DeleteFunc(names, func(name string) bool {
			_, preset := openai_compatible.Lookup(name)
			return preset && name != openai.Type && name != plain.Type
		})
		return strings.Join(names, ", ") + " and its presets"
	}
	return orList(names)
}

// orList writes "a", "a or b", "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
