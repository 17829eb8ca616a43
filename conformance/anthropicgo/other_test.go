package anthropicgo

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	provider "github.com/llmproxy/llmproxy/providers/anthropic"
)

// responses keeps the last answer that came.
type responses struct{ last *http.Response }

func (r *responses) keep() option.RequestOption { return option.WithResponseInto(&r.last) }

// sent checks that the last request that reached the provider holds text.
func (s *session) sent(text string) {
	s.T.Helper()
	if s.Rig == nil {
		return
	}
	requests := s.Rig.Simulator.Requests()
	if last := requests[len(requests)-1]; !bytes.Contains(last.Body, []byte(text)) {
		s.T.Errorf("%q is not in %s", text, last.Body)
	}
}

// A count of tokens is no usage.
func TestCountTokens(t *testing.T) {
	t.Parallel()
	everywhere(t, every, func(s *session) {
		got, err := s.Messages.CountTokens(s.T.Context(), anthropic.MessageCountTokensParams{
			Model: s.Model(sonnet), Messages: user("tell me one thing"),
			System: anthropic.MessageCountTokensParamsSystemUnion{OfString: anthropic.String("be brief")},
		})
		s.Do(err)
		if got.InputTokens != 6 {
			s.T.Errorf("%d tokens, want 6", got.InputTokens)
		}
		s.Recorded(rig.Exchange{API: llmproxy.APIMessages, Model: sonnet, Unreported: true})
	})
}

func TestModel(t *testing.T) {
	t.Parallel()
	everywhere(t, every, func(s *session) {
		got, err := s.Models.Get(s.T.Context(), s.Model(sonnet), anthropic.ModelGetParams{})
		s.Do(err)
		if got.ID != sonnet || got.CreatedAt.IsZero() {
			s.T.Errorf("got %s", got.RawJSON())
		}
		want := rig.Exchange{API: "models", Unreported: true}
		if !s.Mount { // there the path is the provider's
			want.Model = sonnet
		}
		s.Recorded(want)
	})
}

// A list of models names none: the provider is named, or the fallback.
func TestModels(t *testing.T) {
	t.Parallel()
	list := func(s *session, opts ...option.RequestOption) {
		s.T.Helper()
		page, err := s.Models.List(s.T.Context(), anthropic.ModelListParams{}, opts...)
		s.Do(err)
		if want := simulator.DefaultModels(simulator.Anthropic); len(page.Data) != len(want) || page.Data[0].ID != want[0].ID {
			s.T.Errorf("got %s", page.RawJSON())
		}
		s.Recorded(rig.Exchange{API: "models", Unreported: true})
		s.Settled()
	}
	d := newSession(rig.Direct(t, setup(), ""), providerKey)
	list(d)
	for name, s := range map[string]*session{
		"mount":    enter(t, setup(), rig.Entry{Base: "/anthropic"}),
		"fallback": enter(t, setup(llmproxy.WithFallback("anthropic")), byModel),
	} {
		list(s)
		if s.Same(d.Session); t.Failed() {
			t.Fatal(name)
		}
	}
	s := enter(t, setup(), byModel)
	list(s, option.WithHeader("X-Provider", "anthropic"))
	s.Same(d.Session)
}

// Betas, versions, queries and fields that the gateway does not know arrive.
func TestBeta(t *testing.T) {
	t.Parallel()
	everywhere(t, every, func(s *session) {
		got, err := s.Beta.Messages.New(s.T.Context(), anthropic.BetaMessageNewParams{
			Model: s.Model(sonnet), MaxTokens: 100,
			Betas:    []anthropic.AnthropicBeta{"context-1m-2025-08-07", "nobody-knows-this-2030-01-01"},
			Messages: []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock("hello"))},
		}, option.WithHeader("anthropic-version", "2026-10-21"), option.WithJSONSet("nobody_knows_this", []int{1}))
		s.Do(err)
		e := s.completed(sonnet)
		e.Told = &simulator.Usage{Prompt: got.Usage.InputTokens, Completion: got.Usage.OutputTokens}
		s.Recorded(e)
		if s.Rig == nil {
			return
		}
		request := s.Rig.Simulator.Requests()[0]
		if _, query, _ := strings.Cut(request.URI, "?"); query != "beta=true" {
			s.T.Errorf("called as %s", request.URI)
		}
		if betas := strings.Join(request.Header.Values("Anthropic-Beta"), ","); betas != "context-1m-2025-08-07,nobody-knows-this-2030-01-01" {
			s.T.Errorf("betas %q", betas)
		}
		if version := request.Header.Get("Anthropic-Version"); version != "2026-10-21" {
			s.T.Errorf("version %q", version)
		}
		s.sent(`"nobody_knows_this":[1]`)
	})
}

// The key may come as a bearer token, as newer SDKs send it; it goes no further either.
func TestBearer(t *testing.T) {
	t.Parallel()
	for _, e := range every {
		s := newSession(rig.New(t, setup()).Enter(e), clientKey, option.WithHeaderDel("X-Api-Key"), option.WithAuthToken(clientKey))
		q := questions()[0]
		got, err := s.Messages.New(t.Context(), q.asked(s))
		s.Do(err)
		s.recorded(s.completed(q.model), got, &q.usage)
		s.Settled()
	}
}

// The gateway may have a bearer token in place of a key: then the client's key is not left
// beside it.
func TestGatewayToken(t *testing.T) {
	t.Parallel()
	for _, e := range every {
		setup := setup()
		setup.Provider = configured(provider.Config{AuthToken: providerKey})
		setup.Credential = func(r simulator.Request) string {
			if r.Header.Get("Authorization") != "Bearer "+providerKey || r.Header.Get("X-Api-Key") != "" {
				return r.Header.Get("X-Api-Key") + r.Header.Get("Authorization")
			}
			return ""
		}
		s := enter(t, setup, e)
		q := questions()[0]
		got := accumulated(s, s.Messages.NewStreaming(t.Context(), q.asked(s)))
		s.recorded(s.streamed(q.model), got, &q.usage)
		s.Settled()
	}
}

// A model that nobody knows is Anthropic's where the path is.
func TestUnknownModelGoesByThePath(t *testing.T) {
	t.Parallel()
	setup := setup()
	setup.Simulator.AnyModel = true
	s := enter(t, setup, byModel)
	got, err := s.Messages.New(t.Context(), anthropic.MessageNewParams{Model: "a/new-one", MaxTokens: 9, Messages: user("hello")})
	s.Do(err)
	if got.Model != "a/new-one" {
		t.Errorf("answered by %s", got.Model)
	}
	s.recorded(s.completed("a/new-one"), got, nil)
	s.Settled()
}
