package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// validate notes in d what is wrong with c, and in c.Warnings what is only odd. Defaults
// have been set.
func (c *Config) validate(d *decoder) {
	c.validateListener(d)
	c.validateTLS(d)
	c.validateAdmin(d)
	var built []llmproxy.Provider
	for i := range c.Providers {
		if p := c.validateProvider(d, &c.Providers[i]); p != nil {
			built = append(built, p)
		}
	}
	c.validatePrefixes(d, built)
	c.validateModels(d)
	if c.Fallback != "" && !slices.ContainsFunc(c.Providers, func(p ProviderConfig) bool { return p.Name == c.Fallback }) {
		d.fault("fallback", d.at("fallback"), "fallback: no provider is named %q%s", shown(d, "fallback", c.Fallback), suggest(c.Fallback, c.providerNames()))
	}
	c.Warnings = append(c.Warnings, c.ties(d)...)
}

func (c *Config) providerNames() []string {
	names := make([]string, len(c.Providers))
	for i, p := range c.Providers {
		names[i] = p.Name
	}
	return names
}

// shown returns value where the file has it as it stands, and not from the environment.
func shown(d *decoder, path, value string) string {
	if at, ok := d.values[path]; ok && !strings.HasSuffix(at.source, value) {
		return "…"
	}
	return value
}

// validateListener refuses a listener that strangers can spend money on.
func (c *Config) validateListener(d *decoder) {
	if c.Auth.Mode == authKeys {
		if c.Ledger.URL == noLedger {
			d.fault("auth", d.at("auth.mode"), "auth.mode: keys are kept in the ledger's database, and ledger.url is none")
		}
		return
	}
	switch {
	case c.Listen.Loopback() || d.faultyBelow("listen") || d.faultyBelow("auth") || d.faultyBelow("insecure"):
	case c.Insecure:
		at := d.at("insecure")
		c.Warnings = append(c.Warnings, Fault{
			File: d.file, Line: at.line, Column: at.column, Source: at.source,
			Message: "insecure: whoever can reach the listener can spend the providers' keys",
		})
	default:
		d.fault("listen", d.at("listen"), "listen: other machines can reach this address, and no gateway key is asked for: "+
			"write auth: {mode: keys}, listen on a loopback address such as %s or on a unix socket, or write insecure: true", defaultListen)
	}
}

// validateProvider returns the provider that p describes, nil if that cannot be made.
func (c *Config) validateProvider(d *decoder, p *ProviderConfig) llmproxy.Provider {
	path := "providers." + p.Name
	if reason := refuseName(p.Name); reason != "" {
		d.fault(path, d.keys[path], "providers: %s %s", quoteKey(p.Name), reason)
		return nil
	}
	t, ok := findType(p.Type)
	switch {
	case d.faultyBelow(path + ".type"):
		return nil
	case !ok && p.Type == p.Name && d.values[path+".type"] == (shownPlace{}):
		d.fault(path, d.keys[path], "%s: its name is no type of provider, so it needs one: write type: openai_compatible and base_url for a service that speaks OpenAI's API%s",
			path, suggest(p.Name, typeNames()))
		return nil
	case !ok:
		d.fault(path+".type", d.at(path+".type"), "%s.type: %q is no provider type%s", path, shown(d, path+".type", p.Type), suggest(p.Type, typeNames()))
		return nil
	}
	d.validateKeys(path, t)
	for i, pattern := range p.Models {
		if strings.ContainsFunc(pattern, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			at := fmt.Sprintf("%s.models[%d]", path, i)
			d.fault(at, d.at(at), "%s.models: a pattern is the name of a model, in which * stands for any characters; spaces have no place in it", path)
		}
	}
	built, err := t.build(*p)
	if err != nil {
		d.providerFaults(path, p, err)
		built = nil // and no nil pointer in an interface
	}
	d.validateKey(path, p, t)
	c.validatePrices(d, p)
	if c.isOwnAddress(p) {
		base := path + ".base_url"
		d.fault(base, d.at(base), "%s: this is where the gateway itself listens; give one of the two another port", base)
	}
	return built
}

// validatePrefixes refuses names that are another provider's prefix on models, and warns
// of prefixes that two have.
func (c *Config) validatePrefixes(d *decoder, built []llmproxy.Provider) {
	first := map[string]string{}
	for _, p := range built {
		var elsewhere []string
		for _, prefix := range p.Routing().Prefixes {
			path := "providers." + prefix
			if prefix != p.Name() && slices.Contains(c.providerNames(), prefix) {
				d.fault(path, d.keys[path], "providers: %q is a prefix on the models of %s as well: choose another name", prefix, p.Name())
			}
			if _, taken := first[prefix]; taken {
				elsewhere = append(elsewhere, prefix+"/")
			} else {
				first[prefix] = p.Name()
			}
		}
		if len(elsewhere) > 0 { // both are of one type, and have the same
			at := d.keys["providers."+p.Name()]
			c.Warnings = append(c.Warnings, Fault{
				File: d.file, Line: at.line, Column: at.column, Source: at.source,
				Message: fmt.Sprintf("providers.%s: models that begin with %s go to %s, which comes first in the file",
					p.Name(), orList(elsewhere), first[strings.TrimSuffix(elsewhere[0], "/")]),
			})
		}
	}
}

// validateKeys refuses the keys of other types.
func (d *decoder) validateKeys(path string, t providerType) {
	for _, key := range yamlKeys(reflect.TypeFor[ProviderConfig]()) {
		at := path + "." + key
		if _, written := d.keys[at]; !written || slices.Contains(t.keys, key) {
			continue
		}
		if owners := ownersOf(key); owners != "" {
			d.fault(at, d.at(at), "%s: type %s has no such key; it belongs to providers of type %s", at, t.name, owners)
		}
	}
}

// yamlKeys are the keys of a struct.
func yamlKeys(t reflect.Type) (keys []string) {
	for _, f := range reflect.VisibleFields(t) {
		if tag := f.Tag.Get("yaml"); tag != "" && tag != "-" {
			keys = append(keys, tag)
		}
	}
	return keys
}

// isOwnAddress reports whether p is the gateway: a request to it would go round forever.
func (c *Config) isOwnAddress(p *ProviderConfig) bool {
	raw := p.BaseURL
	if preset, ok := openai_compatible.Lookup(p.Type); ok && raw == "" {
		raw = preset.BaseURL
	}
	u, err := url.Parse(raw)
	if err != nil || c.Listen.Network != "tcp" {
		return false
	}
	host, port, _ := net.SplitHostPort(c.Listen.Address)
	ip := net.ParseIP(host)
	everywhere := host == "" || ip != nil && ip.IsUnspecified()
	return u.Port() == port && port != "0" && Address{"tcp", u.Host}.Loopback() && (everywhere || c.Listen.Loopback())
}

// providerFaults notes what the provider's own package refuses.
func (d *decoder) providerFaults(path string, p *ProviderConfig, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			d.providerFaults(path, p, err)
		}
		return
	}
	f, ok := errors.AsType[*openai_compatible.FieldError](err)
	if !ok {
		d.fault(path, d.at(path), "%s: %v", path, err)
		return
	}
	field := f.Field
	if field == "bearer_token" && p.BearerToken == "" && p.APIKey != "" {
		field = "api_key" // under which it was given
	}
	at := path + "." + field
	_, written := d.keys[at]
	switch {
	case d.faultyBelow(at): // said already, with its place
	case !written && d.faultyBelow(path): // what is missing may be what is misspelt
	case p.variables[field] != "":
		d.fault(at, d.at(at), "%s: %s", p.variables[field], f.Problem)
	default:
		d.fault(at, d.at(at), "%s: %s", at, f.Problem)
	}
}

// validateKey checks as whom the provider is called.
func (d *decoder) validateKey(path string, p *ProviderConfig, t providerType) {
	if d.faultyBelow(path) {
		return
	}
	var given []string
	for _, credential := range [...]struct{ key, value string }{
		{"api_key", p.APIKey},
		{"auth_token", p.AuthToken},
		{"access_token", p.AccessToken},
		{"bearer_token", p.BearerToken},
		{"access_key_id", p.AccessKeyID},
	} {
		if credential.value != "" {
			given = append(given, path+"."+credential.key)
		}
	}
	key := path + ".api_key"
	switch {
	case p.passes():
		for _, at := range given {
			d.fault(at, d.at(at), "%s is never used: client_keys: pass sends the client's own key; leave one of the two out", at)
		}
	case len(given) == 0 && p.BaseURL == "" && !t.keyless:
		value := "…"
		if len(t.env) > 0 {
			value = `"${` + t.env[0].names[0] + `}"`
		}
		d.fault(key, d.at(key), "%s needs an api_key: write api_key: %s, or client_keys: pass to forward each client's own", path, value)
	}
}

// refuseName says why a provider cannot have a name; "" if it can.
func refuseName(name string) string {
	switch {
	case name == "":
		return "is empty: a provider needs a name"
	case strings.Trim(name, ".") == "":
		return "cannot be the segment of a path"
	case strings.ContainsFunc(name, func(r rune) bool {
		return !(r < 0x80 && isNameByte(byte(r), false)) && r != '.' && r != '-'
	}):
		return "holds more than letters, digits, dot, underscore and hyphen"
	case slices.Contains(listedSegments(), strings.ToLower(name)):
		return fmt.Sprintf("would hide the path /%s: choose another name", strings.ToLower(name))
	}
	return ""
}

// listedSegments are the first segments of the paths that the data listener serves, with
// and without /v1. A provider of such a name could not be reached by its mount.
func listedSegments() []string {
	return []string{
		"v1", "v2", "v1beta", "model",
		"chat", "completions", "responses", "embeddings", "models", "messages", "images", "audio",
		"files", "uploads", "batches", "moderations", "conversations", "rerank", "videos",
		"fine_tuning", "vector_stores", "realtime",
	}
}

// ties warns of patterns of two providers that are equally long and may both match a
// model: the order of the file then decides, which is easily overlooked.
func (c *Config) ties(d *decoder) (warnings []Fault) {
	for i, p := range c.Providers {
		for k, pattern := range p.Models {
			for _, q := range c.Providers[:i] {
				for _, other := range q.Models {
					if len(pattern) != len(other) || !overlap(strings.ToLower(pattern), strings.ToLower(other)) {
						continue
					}
					at := d.at(fmt.Sprintf("providers.%s.models[%d]", p.Name, k))
					warnings = append(warnings, Fault{
						File: d.file, Line: at.line, Column: at.column, Source: at.source,
						Message: fmt.Sprintf("providers.%s.models: %q and %q of %s are equally long and can match the same model; %s comes first in the file and gets it",
							p.Name, pattern, other, q.Name, q.Name),
					})
				}
			}
		}
	}
	return warnings
}

// overlap reports whether some name matches both patterns, in which * stands for any
// characters.
func overlap(a, b string) bool {
	// can[j] says whether a[:i] and b[:j] can match a common name.
	can := make([]bool, len(b)+1)
	for i := 0; i <= len(a); i++ {
		diagonal, left := false, false
		for j := 0; j <= len(b); j++ {
			above := can[j]
			switch {
			case i == 0 && j == 0:
				can[j] = true
			case i > 0 && a[i-1] == '*', j > 0 && b[j-1] == '*':
				// The * stands for nothing, or takes one more of the other pattern.
				can[j] = above || left
			default:
				can[j] = i > 0 && j > 0 && a[i-1] == b[j-1] && diagonal
			}
			diagonal, left = above, can[j]
		}
	}
	return can[len(b)]
}
