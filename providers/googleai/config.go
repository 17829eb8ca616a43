package googleai

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

// Config says how to use the Gemini API: at least APIKey, or ClientKeys.
//
// However a Config is printed, logged or encoded, it shows its name and type only.
type Config struct {
	Name string // "" means "googleai"

	// BaseURL is the service's address, with or without /v1beta, with or without a
	// trailing slash. "" means Google's.
	BaseURL string

	APIKey string // sent as x-goog-api-key; "" sends none
	// ClientKeys forwards the client's own key, be it in a header or in the query. APIKey
	// is never sent then.
	ClientKeys bool
	// Headers are set on every request, in place of the client's and of our own. Fields
	// that belong to the connection or describe the body are refused.
	Headers map[string]string

	Models  []string      // patterns of models to route here
	Timeout time.Duration // for the header of an answer; 0 means the router's
}

// A FieldError is one fault of a [Config]. [New] joins all it finds.
type FieldError = setting.FieldError

func (c Config) name() string { return cmp.Or(c.Name, Type) }

// String names the provider and its type, no more.
func (c Config) String() string { return fmt.Sprintf("provider %s (%s)", c.name(), Type) }

// Format writes String, whatever the verb: %#v or %d would show the key.
func (c Config) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// MarshalText returns String: JSON and YAML would show the key.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
