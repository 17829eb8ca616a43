package openai_compatible

import (
	"fmt"
	"io"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

// Config says which service a provider is and how to use it. Only BaseURL is needed,
// and not even that where the type has one of its own.
//
// However a Config is printed, logged or encoded, it shows its name and type only.
type Config struct {
	Name string // "" means Type
	Type string // a preset's; "" means "openai_compatible"

	// BaseURL is the service's address, with or without the API path of its type, with
	// or without a trailing slash. "" means the type's own.
	BaseURL string
	// APIPath replaces the path at which the type serves its API ("/api/paas/v4"); "/"
	// means that there is none. "" means the type's own.
	APIPath string
	// Paths are the paths of APIs that are served elsewhere ("messages": "/anthropic/v1");
	// "/" means the root. They go before the type's own. Messages is spoken where the type
	// has it, or where Paths names it.
	Paths map[llmproxy.APIType]string
	// Query are parameters that every request has, unless the client's own query has one
	// of the same name.
	Query map[string]string

	APIKey string // "" sends none
	// APIKeyHeader names the field that carries APIKey alone ("api-key"). "" means the
	// type's, which is Authorization: Bearer for most.
	APIKeyHeader string
	// ClientKeys forwards the client's own credential. APIKey is never sent then.
	ClientKeys bool
	// Headers are set on every request, in place of the client's and of our own. Fields
	// that belong to the connection or describe the body are refused.
	Headers      map[string]string
	Organization string // OpenAI-Organization; "" leaves the client's
	Project      string // OpenAI-Project; "" leaves the client's

	Models  []string      // patterns of models to route here
	Timeout time.Duration // for the header of an answer; 0 means the router's
	// IncludeUsage overrides whether stream_options.include_usage may be added to
	// streamed requests. Nil means as the type wants it.
	IncludeUsage *bool
	// WebSocket overrides whether the service has the WebSocket mode of Responses. Nil
	// means as the type has it.
	WebSocket *bool
}

// name returns the name the provider gets.
func (c Config) name() string {
	if c.Name != "" {
		return c.Name
	}
	return c.presetType()
}

func (c Config) presetType() string {
	if c.Type != "" {
		return c.Type
	}
	return plain
}

// String names the provider and its type, no more.
func (c Config) String() string {
	return fmt.Sprintf("provider %s (%s)", c.name(), c.presetType())
}

// Format writes String, whatever the verb: %#v or %d would show the key.
func (c Config) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// MarshalText returns String: JSON and YAML would show the key.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// FieldError is one fault of a [Config]: Provider, the Field as a configuration file names
// it ("base_url"), and the Problem, which holds no value that could be secret. [New] joins
// all it finds.
type FieldError = setting.FieldError
