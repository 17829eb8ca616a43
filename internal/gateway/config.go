package gateway

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Config is what the gateway runs with: the keys of llmproxy.yaml. Its zero value is not
// usable; [Source.Load] returns a whole one.
type Config struct {
	Listen          Address             `yaml:"listen"`
	TLS             TLS                 `yaml:"tls"`
	Admin           *Admin              `yaml:"admin"`
	Auth            Auth                `yaml:"auth"`
	Insecure        bool                `yaml:"insecure"`        // no gateway keys although others can reach the listener
	Hosts           []Host              `yaml:"hosts"`           // names of this machine besides localhost, for a loopback listener
	Origins         []Origin            `yaml:"origins"`         // of web pages that may call the gateway besides its own
	TrustedProxies  []Proxy             `yaml:"trusted_proxies"` // whose X-Forwarded-For counts
	Providers       []ProviderConfig    `yaml:"providers"`
	Fallback        string              `yaml:"fallback"`
	Models          []ModelConfig       `yaml:"models"`
	Retry           RetryConfig         `yaml:"retry"`
	Interceptors    []InterceptorConfig `yaml:"interceptors"`
	Disconnect      Disconnect          `yaml:"disconnect"`
	WebSocket       WebSocket           `yaml:"websocket"`
	Pricing         Pricing             `yaml:"pricing"`
	Ledger          Ledger              `yaml:"ledger"`
	Limits          Limits              `yaml:"limits"`
	ShutdownTimeout Duration            `yaml:"shutdown_timeout"` // what a running stream has left after a signal
	Log             Log                 `yaml:"log"`

	File       string       `yaml:"-"` // where it was read from; "" for the environment
	Warnings   []Fault      `yaml:"-"` // what is allowed and probably not meant
	Incomplete []Incomplete `yaml:"-"` // what the environment has half of
}

// Auth says who may use the data listener.
type Auth struct {
	Mode AuthMode `yaml:"mode"`
	// ShareTag names a tag: keys with the same value of it may read and continue what the
	// others made.
	ShareTag string `yaml:"share_tag"`
	// AllowUnknown lets every key use responses, files and the like of which the gateway
	// does not know who made them.
	AllowUnknown bool `yaml:"allow_unknown"`
}

// ProviderConfig is a provider under the name that clients use for it. Most keys belong to
// a few types only; the catalogue says which.
type ProviderConfig struct {
	Name       string            `yaml:"-" key:"true"`
	Type       string            `yaml:"type"` // default: the name
	APIKey     string            `yaml:"api_key" secret:"true"`
	BaseURL    string            `yaml:"base_url" secret:"true"` // people put passwords into URLs
	Models     []string          `yaml:"models"`
	Headers    map[string]string `yaml:"headers" secret:"true"`
	Timeout    Duration          `yaml:"timeout"`
	ClientKeys ClientKeys        `yaml:"client_keys"`

	// Prices are the operator's own, by pattern of models, in decimal dollars per million
	// tokens; Markup is in place of pricing.markup.
	Prices map[string]map[string]string `yaml:"prices"`
	Markup Factor                       `yaml:"markup"`

	APIPath      string                      `yaml:"api_path"` // where the API is below base_url; default: as the type has it
	Paths        map[llmproxy.APIType]string `yaml:"paths"`    // of the APIs that are elsewhere
	Query        map[string]string           `yaml:"query" secret:"true"`
	APIKeyHeader string                      `yaml:"api_key_header"` // the field that carries APIKey; default: as the type has it
	IncludeUsage *bool                       `yaml:"include_usage"`  // nil: what the type says
	WebSocket    *bool                       `yaml:"websocket"`      // whether it has the mode; nil: what the type says
	Organization string                      `yaml:"organization"`
	Project      string                      `yaml:"project"` // at OpenAI, or at Google Cloud

	AuthToken   string `yaml:"auth_token" secret:"true"`
	AccessToken string `yaml:"access_token" secret:"true"`
	Resource    string `yaml:"resource"`
	Deployment  string `yaml:"deployment"`
	APIVersion  string `yaml:"api_version"`
	Location    string `yaml:"location"`

	Region          string `yaml:"region"`
	Profile         string `yaml:"profile"` // of AWS's tools; default: theirs
	FIPS            bool   `yaml:"fips"`
	BearerToken     string `yaml:"bearer_token" secret:"true"`
	AccessKeyID     string `yaml:"access_key_id" secret:"true"`
	SecretAccessKey string `yaml:"secret_access_key" secret:"true"`
	SessionToken    string `yaml:"session_token" secret:"true"`

	variables map[string]string // by key: those that it was taken from, where no file says so
}

// passes reports whether clients bring their own keys.
func (p ProviderConfig) passes() bool { return p.ClientKeys == clientKeysPass }

// Format writes the name and the type only, whatever the verb: the rest may be secret.
func (p ProviderConfig) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "provider %s (%s)", p.Name, p.Type)
}

// MarshalText returns what Format writes, for encoders.
func (p ProviderConfig) MarshalText() ([]byte, error) { return fmt.Append(nil, p), nil }

// Disconnect says what happens to the provider's call when a client leaves.
type Disconnect struct {
	Policy DisconnectPolicy `yaml:"policy"`
	Max    Duration         `yaml:"max"` // of a drain
}

// WebSocket bounds connections of the WebSocket mode of Responses. A zero field means its
// default, which is the root package's.
type WebSocket struct {
	Origins      []Origin `yaml:"origins"` // of web pages that may connect besides the gateway's own
	MaxMessage   Size     `yaml:"max_message"`
	IdleTimeout  Duration `yaml:"idle_timeout"`
	FirstMessage Duration `yaml:"first_message_timeout"`
	Lifetime     Duration `yaml:"lifetime"`
	Ping         Duration `yaml:"ping_interval"`
	PerKey       Count    `yaml:"per_key"`
	Total        Count    `yaml:"total"`
	Turns        Count    `yaml:"turns"` // in flight on one connection
	Compression  bool     `yaml:"compression"`
}

// Limits bounds what exchanges may take. A zero field means its default, which is the
// root package's, but for ReadHeaderTimeout.
type Limits struct {
	RequestBody           Size     `yaml:"request_body"`
	Upload                Size     `yaml:"upload"`
	Header                Size     `yaml:"header"`
	Frame                 Size     `yaml:"frame"`
	Concurrent            Count    `yaml:"concurrent"`
	ReadHeaderTimeout     Duration `yaml:"read_header_timeout"`
	ResponseHeaderTimeout Duration `yaml:"response_header_timeout"`
	StreamIdleTimeout     Duration `yaml:"stream_idle_timeout"`
	ClientIdleTimeout     Duration `yaml:"client_idle_timeout"`
}

// Log says how the gateway logs to standard error.
type Log struct {
	Format LogFormat  `yaml:"format"`
	Level  slog.Level `yaml:"level"`
}

const (
	defaultListen            = "127.0.0.1:8080"
	defaultReadHeaderTimeout = Duration(10 * time.Second)
	defaultShutdownTimeout   = Duration(30 * time.Second)
	// Reading on costs the provider nothing and makes the usage exact.
	defaultDrain = Duration(30 * time.Second)
)

// withDefaults sets what c leaves out.
func (c *Config) withDefaults() {
	if c.Listen == (Address{}) {
		c.Listen, _ = parseAddress(defaultListen)
	}
	if c.Admin != nil && c.Admin.Listen == (Address{}) {
		c.Admin.Listen, _ = parseAddress(defaultAdminListen)
	}
	if c.Auth.Mode == "" {
		c.Auth.Mode = authNone
	}
	if c.Disconnect.Policy == "" {
		c.Disconnect.Policy = policyDrain
	}
	if c.Disconnect.Max == 0 {
		c.Disconnect.Max = defaultDrain
	}
	if c.Limits.ReadHeaderTimeout == 0 {
		c.Limits.ReadHeaderTimeout = defaultReadHeaderTimeout
	}
	if c.ShutdownTimeout == 0 {
		c.ShutdownTimeout = defaultShutdownTimeout
	}
	if c.Pricing.Source == "" {
		c.Pricing.Source = pricesEmbedded
	}
	if c.Pricing.Unpriced == "" {
		c.Pricing.Unpriced = unpricedDeny
	}
	if c.Ledger.URL == "" {
		c.Ledger.URL = defaultLedger
	}
	if c.Ledger.OnStoreDown == "" {
		c.Ledger.OnStoreDown = storeDownDeny
	}
	if c.Log.Format == "" {
		c.Log.Format = formatText
	}
	for i := range c.Providers {
		if p := &c.Providers[i]; p.Type == "" {
			p.Type = p.Name
		}
	}
}

// The types below read themselves from text. Their errors say what to write, and leave
// it to the caller whether the text itself may be shown.

// Size is a number of bytes, greater than 0.
type Size int64

// UnmarshalText reads "64MiB", "1GB", "512 KiB" or a plain number of bytes. B after the
// letter may be left out; K, M and G alone are powers of 1024.
func (s *Size) UnmarshalText(text []byte) error {
	malformed := fmt.Errorf("is no size: write one such as 64MiB, 1GB, or a number of bytes")
	t := strings.TrimSpace(string(text))
	digits := strings.TrimRight(t, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit, ok := sizeUnit(strings.TrimSpace(t[len(digits):]))
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case !ok || err != nil:
		return malformed
	case n <= 0:
		return fmt.Errorf("must be more than 0; leave the key out for the default")
	case n > (1<<63-1)/unit:
		return fmt.Errorf("is too large")
	}
	*s = Size(n * unit)
	return nil
}

func sizeUnit(unit string) (bytes int64, ok bool) {
	switch strings.ToLower(unit) {
	case "", "b":
		return 1, true
	case "k", "kib":
		return 1 << 10, true
	case "m", "mib":
		return 1 << 20, true
	case "g", "gib":
		return 1 << 30, true
	case "kb":
		return 1e3, true
	case "mb":
		return 1e6, true
	case "gb":
		return 1e9, true
	}
	return 0, false
}

// Count is a number greater than 0.
type Count int

// UnmarshalText reads a decimal number.
func (c *Count) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	switch {
	case err != nil:
		return fmt.Errorf("is no number: write one such as 10000")
	case n <= 0:
		return fmt.Errorf("must be more than 0; leave the key out for the default")
	}
	*c = Count(n)
	return nil
}

// Duration is a time greater than 0.
type Duration time.Duration

// UnmarshalText reads "10s", "15m", "1h30m".
func (d *Duration) UnmarshalText(text []byte) error {
	t, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		return fmt.Errorf("is no duration: write one such as 500ms, 10s, 15m or 1h")
	case t <= 0:
		return fmt.Errorf("must be more than 0; leave the key out for the default")
	}
	*d = Duration(t)
	return nil
}

func (d Duration) String() string { return time.Duration(d).String() }

// AuthMode says which keys the data listener asks for.
type AuthMode string

const (
	authKeys AuthMode = "keys"
	authNone AuthMode = "none"
)

// UnmarshalText accepts keys and none.
func (m *AuthMode) UnmarshalText(text []byte) error {
	return oneOf((*string)(m), text, string(authKeys), string(authNone))
}

// DisconnectPolicy is what happens to the provider's call when a client leaves.
type DisconnectPolicy string

const (
	policyDrain  DisconnectPolicy = "drain"
	policyCancel DisconnectPolicy = "cancel"
)

// UnmarshalText accepts drain and cancel.
func (p *DisconnectPolicy) UnmarshalText(text []byte) error {
	return oneOf((*string)(p), text, string(policyDrain), string(policyCancel))
}

// ClientKeys says whose credentials a provider sees: "" the gateway's.
type ClientKeys string

const clientKeysPass ClientKeys = "pass"

// UnmarshalText accepts pass.
func (k *ClientKeys) UnmarshalText(text []byte) error {
	return oneOf((*string)(k), text, string(clientKeysPass))
}

// LogFormat is the form of a log line.
type LogFormat string

const (
	formatText LogFormat = "text"
	formatJSON LogFormat = "json"
)

// UnmarshalText accepts text and json.
func (f *LogFormat) UnmarshalText(text []byte) error {
	return oneOf((*string)(f), text, string(formatText), string(formatJSON))
}

// oneOf sets target to text if that is one of allowed.
func oneOf(target *string, text []byte, allowed ...string) error {
	for _, a := range allowed {
		if string(text) == a {
			*target = a
			return nil
		}
	}
	return fmt.Errorf("is not known here: write %s", strings.Join(allowed, " or "))
}
