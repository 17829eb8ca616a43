package bedrock

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

// Config says where Bedrock is and as whom it is called: Region, and one kind of
// credential or ClientKeys.
//
// However a Config is printed, logged or encoded, it shows its name and type only.
type Config struct {
	Name string // "" means [Type]

	// Region is an AWS region, such as us-east-1. It may be left out where BaseURL is an
	// address of AWS, which names it, and where requests are not signed and BaseURL is
	// given.
	Region string
	FIPS   bool // use the region's FIPS endpoint
	// BaseURL is another address of the runtime, a VPC endpoint's say, with or without a
	// trailing slash. "" means the region's own.
	BaseURL string

	// BearerToken is a Bedrock API key, sent as Authorization: Bearer. As in AWS's SDKs,
	// it goes before all that follows.
	BearerToken string
	// AccessKeyID and SecretAccessKey sign requests, with SessionToken where they are
	// temporary. They go before Credentials.
	AccessKeyID, SecretAccessKey, SessionToken string
	// Credentials are asked for on each request unless they are still good. See package
	// awsconfig for those that AWS's own tools would use.
	Credentials aws.CredentialsProvider
	// ClientKeys forwards the client's own API key. Nothing is signed then.
	ClientKeys bool

	// Headers are set on every request, in place of the client's and of our own. Fields
	// that belong to the connection or describe the body are refused.
	Headers map[string]string
	Models  []string      // patterns of models to route here
	Timeout time.Duration // for the header of an answer; 0 means the router's
	// IncludeUsage says whether stream_options.include_usage may be added to streamed Chat
	// Completions. Nil means yes.
	IncludeUsage *bool
}

// A FieldError is one fault of a [Config]. [New] joins all it finds.
type FieldError = setting.FieldError

// name returns the name the provider gets.
func (c Config) name() string { return cmp.Or(c.Name, Type) }

// String names the provider and its type, no more.
func (c Config) String() string { return fmt.Sprintf("provider %s (%s)", c.name(), Type) }

// Format writes String, whatever the verb: %#v or %d would show a secret.
func (c Config) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// MarshalText returns String: JSON and YAML would show a secret.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

var (
	regionName = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)
	// regionOfHost finds the region in an address of Bedrock's runtime, a VPC endpoint's
	// included.
	regionOfHost = regexp.MustCompile(`(?i)^https?://(?:[a-z0-9.-]+\.)?bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?(?:amazonaws\.com|api\.aws)`)
)

// region returns the region that is given, or that the address names; "" if none is.
func (c Config) region() string {
	if c.Region == "" {
		if m := regionOfHost.FindStringSubmatch(c.BaseURL); m != nil {
			return strings.ToLower(m[1])
		}
	}
	return c.Region
}

// address returns the base URL. Where the region is at fault, it is one that lets the
// rest be checked.
func (c Config) address() string {
	if c.BaseURL != "" {
		return c.BaseURL
	}
	region, service, domain := c.Region, "bedrock-runtime", "amazonaws.com"
	if !regionName.MatchString(region) {
		region = "unknown"
	}
	if c.FIPS {
		service += "-fips"
	}
	if strings.HasPrefix(region, "cn-") {
		domain += ".cn"
	}
	return "https://" + service + "." + region + "." + domain
}

// signs reports whether requests are signed.
func (c Config) signs() bool { return c.BearerToken == "" && !c.ClientKeys }

// faults returns what is wrong with c besides what all providers have in common.
func (c Config) faults() (faults []error) {
	fault := func(field, problem string) {
		faults = append(faults, setting.Fault(c.name(), field, "%s", problem))
	}
	switch region := c.region(); {
	case region == "" && c.BaseURL == "":
		fault("region", "missing; want an AWS region, such as us-east-1")
	case region == "" && c.signs():
		fault("region", "missing; requests cannot be signed without it")
	case region != "" && !regionName.MatchString(region):
		fault("region", "want an AWS region, such as us-east-1")
	}
	if c.FIPS && c.BaseURL != "" {
		fault("fips", "base_url says where the endpoint is; want one of the two")
	}
	for _, secret := range []struct{ field, value string }{
		{"bearer_token", c.BearerToken},
		{"access_key_id", c.AccessKeyID},
		{"secret_access_key", c.SecretAccessKey},
		{"session_token", c.SessionToken},
	} {
		if !setting.Visible(secret.value) {
			fault(secret.field, setting.NotVisible)
		}
	}
	static := c.AccessKeyID != "" && c.SecretAccessKey != ""
	switch {
	case c.AccessKeyID == "" && c.SecretAccessKey != "":
		fault("access_key_id", "missing; secret_access_key is there")
	case c.SecretAccessKey == "" && c.AccessKeyID != "":
		fault("secret_access_key", "missing; access_key_id is there")
	case !static && c.SessionToken != "":
		fault("session_token", "is of no use without access_key_id and secret_access_key")
	case !static && c.Credentials == nil && c.signs():
		fault("bearer_token", "no credential; want it, or access_key_id and secret_access_key, or those of AWS's own tools")
	}
	return faults
}
