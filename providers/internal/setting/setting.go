// Package setting holds what the configurations of all providers have in common: the
// settings that each of them takes, what can be wrong with those, and the provider they
// make. What is special about a service is in the package of its provider.
package setting

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Common is what the operator says of a provider, whatever its type is. It holds secrets:
// a provider's own configuration is what may be printed.
type Common struct {
	Name         string // of the provider
	BaseURL      string // with or without the service's API path; "" means the service's own
	APIPath      string // in place of the service's; "/" means none; "" means the service's
	Paths        map[llmproxy.APIType]string
	Query        map[string]string // of every request, where the client's has no such parameter
	APIKey       string            // "" sends none
	APIKeyHeader string            // the field that carries the key alone; "" means the service's
	ClientKeys   bool              // forwards the client's own credential; APIKey is never sent then
	Headers      map[string]string // set on every request, over all else
	Models       []string          // patterns of models to route to the provider
	Timeout      time.Duration     // for the header of an answer; 0 means the router's
}

// Service is what a provider's type brings by itself.
type Service struct {
	Type      string
	BaseURL   string // the address without APIPath; "" where only the operator knows it
	APIPath   string // "" is the root
	Alias     string // another path at which the same is served; "" if there is none
	Paths     map[llmproxy.APIType]string
	KeyHeader string   // the field that carries the key alone; "" means Authorization: Bearer
	Models    []string // patterns of models that are the service's
	Native    []string // patterns of names that begin with the type's, and are no prefix
}

// Provider returns a provider of service s that speaks no API yet. The error joins
// faults, which the caller found, and a *[FieldError] for each fault of c. What c points
// to is copied.
func (c Common) Provider(s Service, faults ...error) (*llmproxy.BaseProvider, error) {
	faults = append(faults, c.faults()...)
	urls, field, problem := c.urls(s)
	if problem != "" {
		faults = append(faults, Fault(c.Name, field, "%s", problem))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	key, keyHeader := c.APIKey, s.KeyHeader
	if c.ClientKeys {
		key = ""
	}
	if c.APIKeyHeader != "" {
		keyHeader = c.APIKeyHeader
	}
	header, _ := c.header()
	return &llmproxy.BaseProvider{
		ID:     c.Name,
		Speaks: map[llmproxy.APIType]llmproxy.API{},
		Routes: llmproxy.Routing{
			Models:  slices.Clone(c.Models),
			BuiltIn: slices.Concat(s.Models, s.Native),
			Native:  slices.Clone(s.Native),
		},
		Options:  llmproxy.Settings{ClientKeys: c.ClientKeys, Timeout: c.Timeout},
		URLs:     urls,
		Enricher: credentials(key, keyHeader, header),
	}, nil
}

// faults returns what is wrong with c, whatever the service is.
func (c Common) faults() (faults []error) {
	fault := func(field, format string, args ...any) {
		faults = append(faults, Fault(c.Name, field, format, args...))
	}
	if strings.ContainsFunc(c.Name, func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f }) {
		fault("name", "spaces, control characters and / have no place in it: it is a part of models and paths")
	}
	if !Visible(c.APIKey) {
		fault("api_key", NotVisible)
	}
	switch name := c.APIKeyHeader; {
	case name == "":
	case !token(name):
		fault("api_key_header", "want the name of a header field, such as api-key")
	case notTheOperators(http.CanonicalHeaderKey(name)):
		fault("api_key_header", "%s is set by the gateway", http.CanonicalHeaderKey(name))
	}
	_, problems := c.header()
	for _, problem := range problems {
		fault("headers", "%s", problem)
	}
	for i, pattern := range c.Models {
		if pattern == "" {
			fault("models", "pattern %d is empty", i+1)
		}
	}
	if c.Timeout < 0 {
		fault("timeout", "is negative")
	}
	return faults
}

// FieldError is one fault of a provider's configuration.
type FieldError struct {
	Provider string
	Field    string // as a configuration file names it: "base_url"
	Problem  string // holds no value that could be secret
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("provider %s: %s: %s", e.Provider, e.Field, e.Problem)
}

// Fault returns a *[FieldError].
func Fault(provider, field, format string, args ...any) error {
	return &FieldError{Provider: provider, Field: field, Problem: fmt.Sprintf(format, args...)}
}

// NotVisible is the problem of a text that is not [Visible].
const NotVisible = "spaces, line ends and other control characters have no place in it"

// Visible reports whether s holds visible ASCII only, as keys and the like do.
func Visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
