package gateway

import (
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/llmproxy/llmproxy/providers/bedrock"
)

// A variable is what the environment may say about a provider.
type variable struct {
	names    []string // the first that is set counts
	key      string   // of the configuration, that gets its value; "" if it is only looked at
	optional bool     // the provider is there without it
}

// apiKey returns the variables of types that need a key and no more; none where no
// variable holds one.
func apiKey(names ...string) []variable {
	if len(names) == 0 {
		return nil
	}
	return []variable{{names: names, key: "api_key"}}
}

func azureVariables() []variable {
	return []variable{
		{names: []string{"AZURE_OPENAI_RESOURCE"}, key: "resource"},
		{names: []string{"AZURE_OPENAI_API_KEY"}, key: "api_key"},
		{names: []string{"AZURE_OPENAI_DEPLOYMENT"}, key: "deployment", optional: true},
		{names: []string{"AZURE_OPENAI_API_VERSION"}, key: "api_version", optional: true},
	}
}

// awsVariables are the region, and the signs of credentials: what the chain would find
// without any (on disk, or from the machine) may be there for other ends.
func awsVariables() []variable {
	return []variable{
		{names: []string{bedrock.RegionEnv, bedrock.DefaultRegionEnv}, key: "region"},
		{names: []string{bedrock.BearerTokenEnv}, key: "bearer_token", optional: true},
		{names: []string{
			bedrock.BearerTokenEnv, "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
			"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		}},
	}
}

// find returns the first of v's names that is set to something, and what it is set to.
func (v variable) find(lookup lookupFunc) (name, value string) {
	for _, name := range v.names {
		if value, _ := lookup(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// An Incomplete is a provider for which the environment has a secret, and not all that it
// needs besides.
type Incomplete struct {
	Provider, Set, Missing string // Missing are the variables of which one would do
}

func (i Incomplete) String() string {
	return fmt.Sprintf("%s is set and %s is not, so there is no provider %s", i.Set, i.Missing, i.Provider)
}

// addFromEnvironment adds every provider that the environment has.
func (c *Config) addFromEnvironment(lookup lookupFunc) {
	for _, t := range catalog() {
		if len(t.env) == 0 {
			continue
		}
		p := ProviderConfig{Name: t.name, Type: t.name, variables: map[string]string{}}
		secret, missing := "", ""
		for _, v := range t.env {
			name, value := v.find(lookup)
			switch {
			case name == "" && !v.optional && missing == "":
				missing = orList(v.names)
			case name != "" && v.key != "":
				p.variables[v.key] = name
				if p.set(v.key, value) {
					secret = name
				}
			}
		}
		switch {
		case missing == "":
			c.Providers = append(c.Providers, p)
		case secret != "":
			c.Incomplete = append(c.Incomplete, Incomplete{t.name, secret, missing})
		}
	}
}

// set sets the field of p that has key, and reports whether that is a secret.
func (p *ProviderConfig) set(key, value string) (secret bool) {
	v := reflect.ValueOf(p).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Tag.Get("yaml") == key {
			v.FieldByIndex(f.Index).SetString(value)
			return f.Tag.Get("secret") != ""
		}
	}
	panic("gateway: no provider has a key " + key)
}

// NoProvidersError means that neither a file nor the environment names a provider.
type NoProvidersError struct {
	File       string // that was read; "" if there was none
	Incomplete []Incomplete
}

// Error says where providers were looked for.
func (e *NoProvidersError) Error() string {
	var b strings.Builder
	b.WriteString("no provider is configured\n\n")
	if e.File != "" {
		fmt.Fprintf(&b, "%s names none, and the environment has not what one needs:\n\n", e.File)
	} else {
		fmt.Fprintf(&b, "There is no %s here, and the environment has not what a provider needs:\n\n", DefaultFile)
	}
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, t := range catalog() {
		if len(t.env) > 0 {
			fmt.Fprintf(table, "    %s\t%s\n", t.name, needed(t.env))
		}
	}
	_ = table.Flush() // to a builder
	for _, i := range e.Incomplete {
		fmt.Fprintf(&b, "\n%s.\n", i)
	}
	b.WriteString("\nSet the variables of one, write a " + DefaultFile + ", or run \"llmproxy demo\", which needs no key.")
	return b.String()
}

// needed says which of vs make a provider.
func needed(vs []variable) string {
	var all []string
	for _, v := range vs {
		switch {
		case v.optional:
		case len(v.names) > 3:
			all = append(all, strings.Join(v.names[:3], ", ")+" or the like")
		default:
			all = append(all, orList(v.names))
		}
	}
	return strings.Join(all, ", and ")
}
