package anthropic

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/llmproxy/llmproxy/providers/internal/setting"
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

// A FieldError is one fault of a [Config]. [New] joins all it finds.
type FieldError = setting.FieldError

// name returns the name the provider gets.
func (c Config) name() string { return cmp.Or(c.Name, Type) }

// tokenFaults returns what is wrong with the token, if anything is.
func (c Config) tokenFaults() (faults []error) {
	switch {
	case c.AuthToken != "" && c.APIKey != "":
		faults = append(faults, setting.Fault(c.name(), "auth_token", "only one of api_key and auth_token can be sent"))
	case !setting.Visible(c.AuthToken):
		faults = append(faults, setting.Fault(c.name(), "auth_token", setting.NotVisible))
	}
	return faults
}

// String names the provider and its type, no more.
func (c Config) String() string { return fmt.Sprintf("provider %s (%s)", c.name(), Type) }

// Format writes String, whatever the verb: %#v or %d would show the key.
func (c Config) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// MarshalText returns String: JSON and YAML would show the key.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
