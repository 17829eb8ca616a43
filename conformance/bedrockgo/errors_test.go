package bedrockgo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/auth/bearer"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	provider "github.com/llmproxy/llmproxy/providers/bedrock"
)

// refusal checks that err is the SDK's error for an answer of status, and returns it.
func (s *session) refusal(err error, status int, code string) smithy.APIError {
	s.T.Helper()
	got, ok := errors.AsType[smithy.APIError](err)
	answer, has := errors.AsType[*awshttp.ResponseError](err)
	if !ok || !has {
		s.T.Fatalf("got %v, want an error of the API", err)
	}
	s.Hear(got.Error())
	if got.ErrorCode() != code || got.ErrorMessage() == "" || answer.HTTPStatusCode() != status {
		s.T.Errorf("got %d %s (%s), want %d %s", answer.HTTPStatusCode(), got.ErrorCode(), got.ErrorMessage(), status, code)
	}
	if _, generic := errors.AsType[*smithy.GenericAPIError](err); generic {
		s.T.Errorf("%s is no type of the SDK", got.ErrorCode())
	}
	return got
}

// A call asks for a small answer. It returns an error; the beginning of a stream is none.
type call struct {
	name  string
	api   llmproxy.APIType
	model string
	ask   func(s *session, model string, opts ...func(*bedrockruntime.Options)) error
}

var calls = []call{
	{"Converse", llmproxy.APIConverse, nova, func(s *session, model string, opts ...func(*bedrockruntime.Options)) error {
		_, err := s.Converse(s.T.Context(), &bedrockruntime.ConverseInput{ModelId: s.model(model), Messages: []types.Message{user(text("hello"))}}, opts...)
		return err
	}},
	{"ConverseStream", llmproxy.APIConverse, nova, func(s *session, model string, opts ...func(*bedrockruntime.Options)) error {
		_, err := s.ConverseStream(s.T.Context(), &bedrockruntime.ConverseStreamInput{ModelId: s.model(model), Messages: []types.Message{user(text("hello"))}}, opts...)
		return err
	}},
	{"InvokeModel", llmproxy.APIInvokeModel, sonnet, func(s *session, model string, opts ...func(*bedrockruntime.Options)) error {
		_, err := s.InvokeModel(s.T.Context(), &bedrockruntime.InvokeModelInput{
			ModelId: s.model(model), ContentType: aws.String("application/json"), Body: []byte(invocations()[0].body),
		}, opts...)
		return err
	}},
	{"InvokeModelWithResponseStream", llmproxy.APIInvokeModel, sonnet, func(s *session, model string, opts ...func(*bedrockruntime.Options)) error {
		_, err := s.InvokeModelWithResponseStream(s.T.Context(), &bedrockruntime.InvokeModelWithResponseStreamInput{
			ModelId: s.model(model), ContentType: aws.String("application/json"), Body: []byte(invocations()[0].body),
		}, opts...)
		return err
	}},
}

// The provider's errors arrive as they are, of calls and of streams.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		script string // of the provider's misbehaviour
		model  string // the call's
		status int
		code   string
	}{
		{name: "no such model", model: "us.anthropic.claude-none-v1:0", status: 400, code: "ValidationException"},
		{name: "not found", script: "status=404", status: 404, code: "ResourceNotFoundException"},
		{name: "the model is slow", script: "status=408", status: 408, code: "ModelTimeoutException"},
		{name: "the model failed", script: "status=424", status: 424, code: "ModelErrorException"},
		{name: "too many requests", script: "status=429", status: 429, code: "ThrottlingException"},
		{name: "the model is loading", script: "status=429,code=ModelNotReadyException", status: 429, code: "ModelNotReadyException"},
		{name: "no quota", script: "status=400,code=ServiceQuotaExceededException", status: 400, code: "ServiceQuotaExceededException"},
		{name: "a fault", script: "status=500", status: 500, code: "InternalServerException"},
		{name: "overload", script: "status=503", status: 503, code: "ServiceUnavailableException"},
	} {
		for _, c := range calls {
			t.Run(tt.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				everywhere(t, every, func(s *session) {
					model := c.model
					if tt.model != "" {
						model = tt.model
					}
					s.refusal(c.ask(s, model, simulate(tt.script)), tt.status, tt.code)
					s.Recorded(rig.Failed(c.api, model, tt.status, tt.code))
				})
			})
		}
	}
}

// A request that the provider does not take: a conversation that the model begins.
func TestBadRequest(t *testing.T) {
	t.Parallel()
	everywhere(t, every, func(s *session) {
		_, err := s.Converse(s.T.Context(), &bedrockruntime.ConverseInput{
			ModelId: s.model(arn), Messages: []types.Message{{Role: types.ConversationRoleAssistant, Content: []types.ContentBlock{text("hello")}}},
		})
		s.refusal(err, 400, "ValidationException")
		s.Recorded(rig.Failed(llmproxy.APIConverse, arn, 400, "ValidationException"))
	})
}

// An error page of something between the gateway and the provider arrives as it is; the
// SDK makes of it what it makes of the page itself.
func TestErrorPage(t *testing.T) {
	t.Parallel()
	everywhere(t, every, func(s *session) {
		err := calls[0].ask(s, nova, simulate("status=502"))
		if answer, ok := errors.AsType[*awshttp.ResponseError](err); !ok || answer.HTTPStatusCode() != 502 {
			s.T.Fatalf("got %v", err)
		}
		s.Recorded(rig.Failed(llmproxy.APIConverse, nova, 502, ""))
	})
}

// The SDK retries what may go well, as often as it is told, and nobody else does.
func TestRetries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status   int
		attempts int // that the SDK may make
		want     int // that reach the provider
		code     string
	}{
		{429, 3, 3, "ThrottlingException"},
		{500, 2, 2, "InternalServerException"},
		{503, 1, 1, "ServiceUnavailableException"},
		{404, 3, 1, "ResourceNotFoundException"},
		{400, 3, 1, "ValidationException"},
	} {
		for _, c := range calls {
			t.Run(fmt.Sprint(tt.status)+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				s := enter(t, setup(), byModel, func(o *bedrockruntime.Options) { o.Retryer = attempts(tt.attempts) })
				s.refusal(c.ask(s, c.model, simulate(fmt.Sprintf("status=%d", tt.status))), tt.status, tt.code)
				for range tt.want {
					s.Recorded(rig.Failed(c.api, c.model, tt.status, tt.code))
				}
				s.Settled()
				for i, request := range s.Rig.Simulator.Requests() {
					if got := request.Header.Get("Amz-Sdk-Request"); !strings.HasPrefix(got, fmt.Sprintf("attempt=%d;", i+1)) {
						t.Errorf("request %d is the %s", i+1, got)
					}
				}
			})
		}
	}
}

// A retry that goes well is a second exchange, with a record of its own, and signed anew.
func TestRetryThatGoesWell(t *testing.T) {
	t.Parallel()
	setup := setup()
	setup.Simulator.Script = simulator.Sequence(simulator.Script{Status: 429}, simulator.Script{})
	s := enter(t, setup, byModel, func(o *bedrockruntime.Options) { o.Retryer = attempts(2) })
	q := questions()[0]
	got := q.ask(s, true)
	q.answered(s, got)
	s.Recorded(rig.Failed(llmproxy.APIConverse, nova, 429, "ThrottlingException"))
	s.recorded(conversesStream(nova), got, &q.usage)
	s.Settled()
}

// Credentials of the gateway that the provider refuses, or that there are none of, are no
// fault of the client's, who learns nothing about them. The SDK tries again all the same:
// it does not know that it need not.
func TestGatewayCredentials(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]provider.Config{
		"unknown":        {Region: region, AccessKeyID: "AKIAMISTAKEN", SecretAccessKey: "secret", SessionToken: ours.SessionToken},
		"wrong secret":   {Region: region, AccessKeyID: ours.AccessKeyID, SecretAccessKey: "secret", SessionToken: ours.SessionToken},
		"no session":     {Region: region, AccessKeyID: ours.AccessKeyID, SecretAccessKey: ours.SecretAccessKey},
		"wrong region":   {Region: "eu-west-1", AccessKeyID: ours.AccessKeyID, SecretAccessKey: ours.SecretAccessKey, SessionToken: ours.SessionToken},
		"wrong token":    {Region: region, BearerToken: "bedrock-api-key-MISTAKEN"},
		"none to be had": {Region: region, Credentials: noKeys{}},
	} {
		for _, base := range []string{"", "/bedrock"} {
			t.Run(name+base, func(t *testing.T) {
				t.Parallel()
				s := enter(t, setupOf(c), rig.Entry{Base: base}, func(o *bedrockruntime.Options) { o.Retryer = attempts(2) })
				for _, call := range calls {
					got := s.refusal(call.ask(s, call.model), 502, "ServiceUnavailableException")
					if !strings.Contains(got.ErrorMessage(), `"bedrock"`) || strings.Contains(got.ErrorMessage(), "MISTAKEN") {
						t.Errorf("got %q", got.ErrorMessage())
					}
					for range 2 {
						rec := s.Rig.Record()
						if rec.API != call.api || rec.Status != 502 || rec.Outcome != llmproxy.OutcomeError || rec.Error == nil || rec.Error.Code != "provider_auth" || rec.Usage != (llmproxy.Usage{}) {
							t.Errorf("record %+v", rec)
						}
					}
				}
			})
		}
	}
}

// noKeys is a source that has nothing to give.
type noKeys struct{}

func (noKeys) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, errors.New("AKIA-MISTAKEN is out")
}

// withToken makes the SDK send a Bedrock API key in place of a signature. It does that by
// HTTPS alone.
func withToken(token string) func(*bedrockruntime.Options) {
	return func(o *bedrockruntime.Options) {
		o.BearerAuthTokenProvider = bearer.StaticTokenProvider{Token: bearer.Token{Value: token}}
		o.AuthSchemePreference = []string{"httpBearerAuth"}
		o.BaseEndpoint = aws.String("https" + strings.TrimPrefix(*o.BaseEndpoint, "http"))
		client := o.HTTPClient
		o.HTTPClient = smithyhttp.ClientDoFunc(func(r *http.Request) (*http.Response, error) {
			r.URL.Scheme = "http"
			return client.Do(r)
		})
	}
}

// A client may use an API key in place of a signature, and so may the gateway.
func TestBearerToken(t *testing.T) {
	t.Parallel()
	const ourToken, theirToken = "bedrock-api-key-ours", "bedrock-api-key-theirs"
	for _, tt := range []struct {
		name   string
		config *provider.Config // nil: with a signature
		change func(*bedrockruntime.Options)
	}{
		{"the client has one", nil, withToken(theirToken)},
		{"the gateway has one", &provider.Config{Region: region, BearerToken: ourToken}, func(*bedrockruntime.Options) {}},
		{"both have one", &provider.Config{Region: region, BearerToken: ourToken}, withToken(theirToken)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, e := range every {
				setup := setup()
				if tt.config != nil {
					setup = setupOf(*tt.config)
					setup.Simulator = simulator.Options{APIKey: ourToken}
					setup.Credential = func(r simulator.Request) string {
						if r.Header.Get("Authorization") != "Bearer "+ourToken || r.Header.Get("X-Amz-Security-Token") != "" || r.Header.Get("X-Amz-Date") != "" {
							return fmt.Sprint(r.Header)
						}
						return ""
					}
				}
				setup.Secrets = append(setup.Secrets, theirToken)
				s := enter(t, setup, e, tt.change)
				q := questions()[1]
				for _, streamed := range []bool{false, true} {
					got := q.ask(s, streamed)
					q.answered(s, got)
					want := converses(q.model)
					if streamed {
						want = conversesStream(q.model)
					}
					s.recorded(want, got, &q.usage)
				}
				s.Settled()
			}
		})
	}
}

// Where clients bring their own API keys, the provider's word on them is theirs.
func TestClientKeys(t *testing.T) {
	t.Parallel()
	const good, bad = "bedrock-api-key-known", "bedrock-api-key-nobody-knows"
	setup := setupOf(provider.Config{Region: region, ClientKeys: true})
	setup.Simulator = simulator.Options{APIKey: good}
	setup.Credential, setup.Secrets = nil, nil
	d := newSession(rig.Direct(t, setup, ""), aws.Credentials{}, withToken(bad))
	d.refusal(calls[0].ask(d, nova), 403, "AccessDeniedException")
	for _, e := range []rig.Entry{byModel, every[3], every[7]} {
		r := rig.New(t, setup)
		s := newSession(r.Enter(e), aws.Credentials{}, withToken(bad))
		s.refusal(calls[0].ask(s, nova), 403, "AccessDeniedException")
		s.Same(d.Session)
		s.Recorded(rig.Failed(llmproxy.APIConverse, nova, 403, "AccessDeniedException"))

		s = newSession(r.Enter(e), aws.Credentials{}, withToken(good))
		q := questions()[0]
		s.recorded(converses(nova), q.ask(s, false), &q.usage)
		s.Settled()
	}
}

// What the gateway itself refuses reads like an error of the API.
func TestRefusals(t *testing.T) {
	t.Parallel()
	header := func(name, value string) func(*bedrockruntime.Options) {
		return bedrockruntime.WithAPIOptions(smithyhttp.SetHeaderValue(name, value))
	}
	for _, tt := range []struct {
		name   string
		entry  rig.Entry
		opts   []llmproxy.Option
		named  string // as provider
		status int
		code   string
		reason string // that the record gives
		says   []string
		model  bool // the record names it
	}{
		{
			name: "a provider that is not configured", named: "nobody",
			status: 404, code: "ResourceNotFoundException", reason: "provider_not_found", says: []string{"nobody"}, model: true,
		},
		{
			name: "a mount that is not configured", entry: rig.Entry{Base: "/nobody"},
			status: 404, code: "ResourceNotFoundException", reason: "provider_not_found", says: []string{"nobody"},
		},
		{
			name: "a provider that does not speak it", named: rig.Decoy,
			status: 400, code: "ValidationException", reason: "unsupported_api", says: []string{rig.Decoy, "api"}, model: true,
		},
		{
			name: "the same by a prefix", entry: rig.Entry{Prefix: rig.Decoy + "/"},
			status: 400, code: "ValidationException", reason: "unsupported_api", says: []string{rig.Decoy, "api"}, model: true,
		},
		{
			name: "a request that is too large", opts: []llmproxy.Option{llmproxy.WithLimits(llmproxy.Limits{RequestBody: 16})},
			status: 413, code: "ValidationException", reason: "request_too_large",
		},
	} {
		for _, c := range calls {
			t.Run(tt.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				s := enter(t, setup(tt.opts...), tt.entry, func(o *bedrockruntime.Options) { o.Retryer = attempts(3) })
				got := s.refusal(c.ask(s, c.model, header("X-Provider", tt.named)), tt.status, tt.code)
				for _, word := range tt.says {
					if word == "api" {
						word = string(c.api)
					}
					if !strings.Contains(got.ErrorMessage(), word) {
						t.Errorf("%q does not name %s", got.ErrorMessage(), word)
					}
				}
				want := rig.Exchange{API: c.api, Status: tt.status, Code: tt.reason}
				if tt.model {
					want.Model = c.model
				}
				if tt.reason == "unsupported_api" && strings.HasSuffix(c.name, "Stream") {
					want.Transport = llmproxy.TransportSSE
				}
				s.Refused(want)
				s.Settled()
			})
		}
	}
}

// A provider that cannot be reached is the gateway's to report.
func TestProviderOutOfReach(t *testing.T) {
	t.Parallel()
	s := enter(t, setupOf(provider.Config{
		Region: region, AccessKeyID: ours.AccessKeyID, SecretAccessKey: ours.SecretAccessKey, BaseURL: "http://127.0.0.1:1",
	}), byModel)
	s.refusal(calls[0].ask(s, nova), 502, "ServiceUnavailableException")
	rec := s.Rig.Record()
	if rec.Status != 502 || rec.Outcome != llmproxy.OutcomeError || rec.Error == nil || rec.Error.Code != "provider_unreachable" || rec.Usage != (llmproxy.Usage{}) {
		t.Errorf("record %+v", rec)
	}
	s.Settled()
}
