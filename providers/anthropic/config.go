package anthropic

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// Config says how to use Anthropic: at least APIKey, AuthToken or ClientKeys.
//
// However a Config is printed, logged or encoded, it shows its name and type only.
type Config struct {
	Name string // "" means [Type]

	// BaseURL is the service's address, with or without /v1, with or without a trailing
	// slash. "" means Anthropic's own.
	BaseURL string

	APIKey    string // sent as x-api-key; "" sends none
	AuthToken string // sent as Authorization: Bearer, in place of a key
	// ClientKeys forwards the client's own credential, in the field in which it came.
	// APIKey and AuthToken are never sent then.
	ClientKeys bool
	// Headers are set on every request, in place of the client's and of our own. Fields
	// that belong to the connection or describe the body are refused.
	Headers map[string]string

	Models  []string      // patterns of models to route here
	Timeout time.Duration // for the header of an answer; 0 means the router's
}

// FieldError is one fault of a [Config].
type FieldError = openai_compatible.FieldError

// name returns the name the provider gets.
func (c Config) name() string {
	if c.Name != "" {
		return c.Name
	}
	return Type
}

// tokenFault returns what is wrong with the token, if anything is.
func (c Config) tokenFault() error {
	problem := ""
	switch {
	case c.AuthToken != "" && c.APIKey != "":
		problem = "only one of api_key and auth_token can be sent"
	case strings.ContainsFunc(c.AuthToken, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		problem = "spaces, line ends and other control characters have no place in it"
	default:
		return nil
	}
	return &FieldError{Provider: c.name(), Field: "auth_token", Problem: problem}
}

// String names the provider and its type, no more.
func (c Config) String() string { return fmt.Sprintf("provider %s (%s)", c.name(), Type) }

// Format writes String, whatever the verb: %#v or %d would show the key.
func (c Config) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// MarshalText returns String: JSON and YAML would show the key.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
