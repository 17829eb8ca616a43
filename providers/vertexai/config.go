package vertexai

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

// Config says which project a provider is and how to use it.
//
// However a Config is printed, logged or encoded, it shows its name and type only.
type Config struct {
	Name string // "" means "vertexai"

	// Project is the id or number of the Google Cloud project that pays. It may be left
	// out in express mode, where the API key says whose it is.
	Project string
	// Location is where the models run: a region ("us-central1"), a multi-region ("us",
	// "eu"), or "global", which is what "" means.
	Location string
	// BaseURL is the service's address, with or without the API version, with or without
	// a trailing slash. "" means Google's for the location.
	BaseURL string
	// APIVersion is the version of requests that are on no mount; "" means "v1".
	APIVersion string

	// At most one of the following three is the credential.
	APIKey      string // sent as x-goog-api-key
	AccessToken string // of OAuth, sent as Authorization: Bearer, as long as it lasts
	Credentials CredentialSource
	// ClientKeys forwards the client's own credential in place of ours.
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

var (
	projectName = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z0-9-]+$`) // some belong to a domain
	location    = regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)*$`)
	version     = regexp.MustCompile(`^v[0-9][a-z0-9]*$`)
)

// faults returns what is wrong with c besides what all providers have in common.
func (c Config) faults() (faults []error) {
	fault := func(field, problem string) {
		faults = append(faults, setting.Fault(c.name(), field, "%s", problem))
	}
	switch {
	case c.Project == "" && c.APIKey == "" && !c.ClientKeys:
		fault("project", "missing; only an API key does without")
	case c.Project != "" && !projectName.MatchString(c.Project):
		fault("project", "want the id or the number of a project")
	}
	switch {
	case c.Location == "":
	case !location.MatchString(c.Location):
		fault("location", "want a region such as us-central1, or us, eu or global")
	case c.Project == "":
		fault("location", "needs a project")
	}
	if c.APIVersion != "" && !version.MatchString(c.APIVersion) {
		fault("api_version", "want one such as v1 or v1beta1")
	}
	if !setting.Visible(c.AccessToken) {
		fault("access_token", setting.NotVisible)
	}
	given := 0
	for _, has := range []bool{c.APIKey != "", c.AccessToken != "", c.Credentials != nil} {
		if has {
			given++
		}
	}
	if given > 1 {
		fault("access_token", "there is another credential; want one")
	}
	return faults
}

// version returns the API version of requests that are on no mount.
func (c Config) version() string { return cmp.Or(c.APIVersion, "v1") }

// base returns the address without the API version.
func (c Config) base() string {
	if c.BaseURL != "" {
		base := strings.TrimRight(c.BaseURL, "/")
		for _, version := range []string{c.version(), "v1", "v1beta1"} {
			if root, ok := strings.CutSuffix(base, "/"+version); ok {
				return root
			}
		}
		return base
	}
	switch l := cmp.Or(c.Location, global); {
	case l == global, !location.MatchString(l): // the latter is a fault
		return "https://aiplatform.googleapis.com"
	case !strings.Contains(l, "-"):
		return "https://aiplatform." + l + ".rep.googleapis.com"
	default:
		return "https://" + l + "-aiplatform.googleapis.com"
	}
}
