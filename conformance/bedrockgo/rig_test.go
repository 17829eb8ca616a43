// Package bedrockgo drives the gateway with the AWS SDK for Go, and with Anthropic's SDK in
// its form for Amazon Bedrock. Both sign what they send; the gateway drops that signature
// and signs by itself, and the simulated provider verifies what arrives.
//
// Most tests speak to the provider twice, directly and through the gateway, and say what
// the SDK must have understood. Both times it must have heard the same bytes, and each
// exchange must have left the one record that the provider's rules foretell.
package bedrockgo

import (
	"cmp"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	provider "github.com/llmproxy/llmproxy/providers/bedrock"
)

func TestMain(m *testing.M) {
	rig.Unset("AWS_", "ANTHROPIC_")
	goleak.VerifyTestMain(m)
}

const region = "us-east-1"

// The credentials of the gateway, which the provider knows, and those of the client.
var (
	ours = aws.Credentials{
		AccessKeyID: "AKIAOFTHEGATEWAY", SecretAccessKey: "secret-of-the-gateway", SessionToken: "session-of-the-gateway==",
	}
	theirs = aws.Credentials{
		AccessKeyID: "AKIAOFTHECLIENT", SecretAccessKey: "secret-of-the-client", SessionToken: "session-of-the-client==",
	}
)

// The models of the provider.
const (
	sonnet  = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
	thinker = "us.anthropic.claude-think-1-v1:0"
	nova    = "amazon.nova-micro-v1:0"
	arn     = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-micro-v1:0"
)

// setup is a gateway that signs with credentials of its own.
func setup(opts ...llmproxy.Option) rig.Setup {
	return setupOf(provider.Config{
		Region: region, AccessKeyID: ours.AccessKeyID, SecretAccessKey: ours.SecretAccessKey, SessionToken: ours.SessionToken,
	}, opts...)
}

func setupOf(c provider.Config, opts ...llmproxy.Option) rig.Setup {
	return rig.Setup{
		API: simulator.Bedrock,
		Simulator: simulator.Options{AWS: simulator.AWSCredentials{
			AccessKeyID: ours.AccessKeyID, SecretAccessKey: ours.SecretAccessKey, SessionToken: ours.SessionToken, Region: region,
		}},
		Provider: func(base string) (llmproxy.Provider, error) {
			c := c
			c.BaseURL = cmp.Or(c.BaseURL, base)
			return provider.New(c)
		},
		Options: opts,
		Agent:   "aws-sdk-go-v2/",
		Secrets: []string{theirs.AccessKeyID, theirs.SecretAccessKey, theirs.SessionToken},
		Credential: func(r simulator.Request) string {
			signature := r.Header.Get("Authorization")
			if !strings.HasPrefix(signature, "AWS4-HMAC-SHA256 Credential="+ours.AccessKeyID+"/") || r.Header.Get("X-Amz-Security-Token") != ours.SessionToken {
				return signature
			}
			return "" // the rest is the provider's to verify
		},
	}
}

// session is an SDK client, with what it has heard so far.
type session struct {
	*rig.Session
	*bedrockruntime.Client
}

// newSession returns a client that makes one attempt at each call.
func newSession(s *rig.Session, keys aws.Credentials, change ...func(*bedrockruntime.Options)) *session {
	return &session{s, bedrockruntime.New(bedrockruntime.Options{
		Region: region, BaseEndpoint: aws.String(s.URL), HTTPClient: s.Client,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil }),
		Retryer:     attempts(1),
	}, change...)}
}

// attempts lets the SDK make so many attempts, one right after the other.
func attempts(n int) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = n
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
}

// enter returns a client of a new gateway that is like s.
func enter(t *testing.T, s rig.Setup, e rig.Entry, change ...func(*bedrockruntime.Options)) *session {
	t.Helper()
	return newSession(rig.New(t, s).Enter(e), theirs, change...)
}

// byModel is the entry that most clients use.
var byModel = rig.Entry{Name: "by the model"}

// every are the ways into the gateway.
var every = []rig.Entry{
	byModel,
	{Name: "by the model, trailing slash", Base: "/"},
	{Name: "by the model, HTTP/2", HTTP2: true},
	{Name: "mount", Base: "/bedrock"},
	{Name: "mount, trailing slash", Base: "/bedrock/"},
	{Name: "mount, HTTP/2", Base: "/bedrock", HTTP2: true},
	{Name: "by a prefix", Prefix: "bedrock/"},
	{Name: "by a prefix, HTTP/2", Prefix: "bedrock/", HTTP2: true},
}

// some are as different as can be.
var some = []rig.Entry{byModel, every[len(every)-1]}

// everywhere runs a scenario with the provider itself, and then by each entry.
func everywhere(t *testing.T, entries []rig.Entry, scenario func(*session)) {
	t.Helper()
	rig.Everywhere(t, entries, func(t *testing.T, e *rig.Entry) *session {
		if e == nil {
			return newSession(rig.Direct(t, setup(), ""), ours)
		}
		return enter(t, setup(), *e)
	}, scenario)
}

// model returns how s asks for a model.
func (s *session) model(id string) *string { return aws.String(s.Model(id)) }

// simulate tells the provider how to misbehave.
func simulate(script string) func(*bedrockruntime.Options) {
	return bedrockruntime.WithAPIOptions(smithyhttp.SetHeaderValue("X-Simulate", script))
}

// converses is the record of an exchange by Converse that went well.
func converses(model string) rig.Exchange {
	return rig.Exchange{API: llmproxy.APIConverse, Model: model}
}

// conversesStream is the same for a stream.
func conversesStream(model string) rig.Exchange {
	return rig.Exchange{API: llmproxy.APIConverse, Model: model, Transport: llmproxy.TransportEventStream}
}
