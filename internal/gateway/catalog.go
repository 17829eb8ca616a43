package gateway

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// A providerType is a kind of provider that a configuration can name.
type providerType struct {
	name string
	// env are the variables that hold a key of such a provider; the first that is set
	// counts, and makes a provider where no file names any.
	env []string
	// build returns a provider; nil where this version does not have the type.
	build func(ProviderConfig) (llmproxy.Provider, error)
}

const typeOpenAI = openai.Type

// catalog lists everything that the binary knows by name. What has no build comes with a
// later version; it is listed so that a configuration hears that, and not a guess.
func catalog() []providerType {
	types := []providerType{
		{typeOpenAI, []string{"OPENAI_API_KEY"}, compatible(openai.New)},
		{"anthropic", []string{"ANTHROPIC_API_KEY"}, nil},
		{"googleai", []string{"GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_AI_API_KEY"}, nil},
		{"vertexai", nil, nil},
		{"bedrock", []string{"AWS_BEARER_TOKEN_BEDROCK"}, nil},
		{"azure", []string{"AZURE_OPENAI_API_KEY"}, nil},
		{"cohere", []string{"COHERE_API_KEY", "CO_API_KEY"}, nil},
	}
	for _, p := range openai_compatible.Presets() {
		if p.Type != typeOpenAI {
			types = append(types, providerType{p.Type, p.KeyEnv, compatible(openai_compatible.New)})
		}
	}
	return types
}

// compatible returns the build function of a type that speaks OpenAI's APIs.
func compatible(build func(openai_compatible.Config) (*llmproxy.BaseProvider, error)) func(ProviderConfig) (llmproxy.Provider, error) {
	return func(p ProviderConfig) (llmproxy.Provider, error) {
		return build(openai_compatible.Config{
			Name:         p.Name,
			Type:         p.Type,
			BaseURL:      p.BaseURL,
			APIPath:      p.APIPath,
			APIKey:       p.APIKey,
			ClientKeys:   p.ClientKeys == clientKeysPass,
			Headers:      p.Headers,
			Organization: p.Organization,
			Project:      p.Project,
			Models:       p.Models,
			Timeout:      time.Duration(p.Timeout),
			IncludeUsage: p.IncludeUsage,
		})
	}
}

func findType(name string) (providerType, bool) {
	types := catalog()
	i := slices.IndexFunc(types, func(t providerType) bool { return t.name == name })
	if i < 0 {
		return providerType{}, false
	}
	return types[i], true
}

// typeNames are the types of this version.
func typeNames() (names []string) {
	for _, t := range catalog() {
		if t.build != nil {
			names = append(names, t.name)
		}
	}
	return names
}

// addFromEnvironment adds every provider whose key is in the environment.
func (c *Config) addFromEnvironment(lookup lookupFunc) {
	for _, t := range catalog() {
		for _, name := range t.env {
			value, _ := lookup(name)
			if value == "" {
				continue
			}
			if t.build == nil {
				c.Ignored = append(c.Ignored, name)
				continue
			}
			c.Providers = append(c.Providers, ProviderConfig{Name: t.name, Type: t.name, APIKey: value, variable: name})
			break
		}
	}
}

// NoProvidersError means that neither a file nor the environment names a provider.
type NoProvidersError struct {
	File    string   // that was read; "" if there was none
	Ignored []string // variables that are set and of no use to this version
}

// Error says where providers were looked for.
func (e *NoProvidersError) Error() string {
	var b strings.Builder
	b.WriteString("no provider is configured\n\n")
	if e.File != "" {
		fmt.Fprintf(&b, "%s names none, and none of these environment variables is set:\n\n", e.File)
	} else {
		fmt.Fprintf(&b, "There is no %s here, and none of these environment variables is set:\n\n", DefaultFile)
	}
	for _, t := range catalog() {
		if t.build != nil && len(t.env) > 0 {
			fmt.Fprintf(&b, "    %-20s for %s\n", strings.Join(t.env, " or "), t.name)
		}
	}
	if len(e.Ignored) > 0 {
		fmt.Fprintf(&b, "\nThese are set, but this version does not have their providers yet: %s.\n", strings.Join(e.Ignored, ", "))
	}
	b.WriteString("\nSet one of them, write a " + DefaultFile + ", or run \"llmproxy demo\", which needs no key.")
	return b.String()
}
