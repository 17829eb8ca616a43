package rig

import (
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// Exchange is what the record of an exchange must say. The zero value of a field stands
// for what is usual.
type Exchange struct {
	API       llmproxy.APIType
	Transport llmproxy.Transport // http
	Model     string             // as the provider knows it
	Requested string             // as the client wrote it; else the session's prefix and Model
	Answered  string             // the model of the answer; else Model
	Status    int                // 200
	Outcome   llmproxy.Outcome   // completed
	Code      string             // the error's
	Type      string             // the error's; "" is not looked at
	Tier      string             // the service tier
	Finish    string             // the finish reason; "" is not looked at
	ID        string             // the response's; "" is not looked at

	Unreported bool                 // the answer reports no usage
	Ageless    bool                 // nor how long what it writes to the cache lives
	Source     llmproxy.UsageSource // provider, or none where Unreported
	Usage      *simulator.Usage     // what it reports, where simulator.UsageOf cannot know
	Told       *simulator.Usage     // what the SDK was told of it; nil if it was told nothing
}

// Failed is the record of an exchange that the provider answered with an error.
func Failed(api llmproxy.APIType, model string, status int, kind string) Exchange {
	return Exchange{API: api, Model: model, Status: status, Type: kind, Outcome: llmproxy.OutcomeError, Unreported: true}
}

// Recorded holds the next record against want and against the request that reached the
// provider. It says nothing about calls of the provider itself.
func (s *Session) Recorded(want Exchange) {
	s.T.Helper()
	if s.Rig == nil {
		return
	}
	rec := s.Rig.Record()
	requests := s.Rig.Simulator.Requests()
	if s.Rig.compared >= len(requests) {
		s.T.Fatalf("a record without a request: %+v", rec)
	}
	request := requests[s.Rig.compared]
	s.Rig.compared++

	usage, source := llmproxy.Usage{}, llmproxy.UsageNone
	if !want.Unreported {
		usage, source = want.tokens(s, request), llmproxy.UsageProvider
	}
	if want.Source != "" {
		source = want.Source
	}
	if diff := cmp.Diff(usage, rec.Usage); diff != "" || rec.UsageSource != source {
		s.T.Errorf("usage from %s, want from %s (- want, + got)\n%s", rec.UsageSource, source, diff)
	}
	if want.Told != nil {
		if diff := cmp.Diff(want.normalised(*want.Told), rec.Usage); diff != "" {
			s.T.Errorf("the record has another usage than the SDK was told (- told, + recorded)\n%s", diff)
		}
	}
	s.compare(rec, want)
	if len(rec.Attempts) != 1 || rec.Attempts[0].Provider != s.Rig.provider || rec.Attempts[0].Model != want.Model {
		s.T.Errorf("attempts %+v, want one of %s", rec.Attempts, want.Model)
	}
	s.secret(request)
}

// tokens returns what the provider reports in answer to request.
func (want *Exchange) tokens(s *Session, request simulator.Request) llmproxy.Usage {
	s.T.Helper()
	if want.Usage != nil {
		return want.normalised(*want.Usage)
	}
	u, err := simulator.UsageOf(request.URI, request.Body)
	if err != nil {
		s.T.Fatalf("%s: %v", request.URI, err)
	}
	return want.normalised(u)
}

// normalised returns u as records have it. Anthropic and Bedrock state the lifetimes of
// what is written to their caches.
func (want *Exchange) normalised(u simulator.Usage) llmproxy.Usage {
	usage := llmproxy.Usage{
		PromptTokens: u.Prompt, CompletionTokens: u.Completion, Reasoning: u.Reasoning,
		CacheRead: u.Cached, CacheWrite: u.CacheWrite - u.CacheWrite1h, CacheWrite1h: u.CacheWrite1h,
		SearchUnits: u.SearchUnits,
	}
	switch want.API {
	case llmproxy.APIImages:
		usage.OutputImage = u.Completion
	case llmproxy.APIMessages, llmproxy.APIConverse, llmproxy.APIInvokeModel:
		if !want.Ageless {
			usage.CacheWrite5m = usage.CacheWrite
		}
	}
	return usage
}

// Refused holds the next record against an exchange that reached no provider.
func (s *Session) Refused(want Exchange) {
	s.T.Helper()
	if s.Rig == nil {
		return
	}
	rec := s.Rig.Record()
	if rec.Usage != (llmproxy.Usage{}) || rec.UsageSource != llmproxy.UsageNone || len(rec.Attempts) != 0 {
		s.T.Errorf("usage %+v from %s in %d attempts, want none", rec.Usage, rec.UsageSource, len(rec.Attempts))
	}
	if want.Outcome == "" {
		want.Outcome = llmproxy.OutcomeRejected
	}
	s.compare(rec, want)
	s.untouched()
}

// compare holds rec against want, besides the usage.
func (s *Session) compare(rec llmproxy.Record, want Exchange) {
	s.T.Helper()
	if want.Transport == "" {
		want.Transport = llmproxy.TransportHTTP
	}
	if want.Status == 0 {
		want.Status = 200
	}
	if want.Outcome == "" {
		want.Outcome = llmproxy.OutcomeCompleted
	}
	if want.Answered == "" {
		want.Answered = want.Model
	}
	if want.Requested == "" && want.Model != "" {
		want.Requested = s.Model(want.Model)
	}
	code, kind := "", ""
	if rec.Error != nil {
		code, kind = rec.Error.Code, rec.Error.Type
	}
	for _, f := range []struct {
		name      string
		got, want any
		any       bool // will do
	}{
		{"API", rec.API, want.API, false},
		{"transport", rec.Transport, want.Transport, false},
		{"model requested", rec.ModelRequested, want.Requested, false},
		{"model", rec.Model, want.Answered, false},
		{"status", rec.Status, want.Status, false},
		{"outcome", rec.Outcome, want.Outcome, false},
		{"error's code", code, want.Code, false},
		{"error's type", kind, want.Type, want.Type == "" && want.Outcome != llmproxy.OutcomeCompleted},
		{"service tier", rec.ServiceTier, want.Tier, false},
		{"finish reason", rec.FinishReason, want.Finish, want.Finish == ""},
		{"response's id", rec.ResponseID, want.ID, want.ID == ""},
		{"inconsistent", rec.Inconsistent, false, false},
		{"unread", rec.Unread, false, false},
	} {
		if f.got != f.want && !f.any {
			s.T.Errorf("the record's %s is %v, want %v", f.name, f.got, f.want)
		}
	}
}

// secret checks that the provider got the gateway's credential and the client's words,
// and nothing of the client's credentials.
func (s *Session) secret(request simulator.Request) {
	s.T.Helper()
	if s.setup.Credential != nil {
		if fault := s.setup.Credential(request); fault != "" {
			s.T.Errorf("the provider was called with the wrong credential: %s", fault)
		}
	}
	if got := request.Header.Get("User-Agent"); !strings.HasPrefix(got, s.setup.Agent) {
		s.T.Errorf("the provider was called by %q, want %s", got, s.setup.Agent)
	}
	for _, secret := range s.setup.Secrets {
		for name, values := range request.Header {
			if strings.Contains(strings.Join(values, " "), secret) {
				s.T.Errorf("a credential of the client reached the provider in %s", name)
			}
		}
		if strings.Contains(request.URI, secret) || strings.Contains(string(request.Body), secret) {
			s.T.Errorf("a credential of the client reached the provider in %s or its body", request.URI)
		}
	}
}

// Settled checks that every record and every request has been looked at.
func (s *Session) Settled() {
	s.T.Helper()
	if s.Rig == nil {
		return
	}
	select {
	case rec := <-s.Rig.records:
		s.T.Errorf("a further record: %+v", rec)
	default:
	}
	s.untouched()
}

// untouched checks that no request has reached the provider that was not looked at.
func (s *Session) untouched() {
	s.T.Helper()
	if n := len(s.Rig.Simulator.Requests()); n != s.Rig.compared {
		s.T.Errorf("%d requests reached the provider, want %d", n, s.Rig.compared)
	}
}

// Departed waits until the provider has noticed that nobody listens any more.
func (s *Session) Departed() {
	s.T.Helper()
	s.Rig.Await(simulator.Departed(1))
}

// Snapshot returns the name under which a model of the session's provider answers.
func (s *Session) Snapshot(model string) string { return Snapshot(s.setup.API, model) }

// Snapshot returns the name under which a model of an API answers.
func Snapshot(api simulator.API, model string) string {
	for _, m := range simulator.DefaultModels(api) {
		if m.ID == model && m.Snapshot != "" {
			return m.Snapshot
		}
	}
	return model
}
