package openaigo

import (
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// exchange is what the record of an exchange must say. The zero value of a field stands
// for what is usual.
type exchange struct {
	api       llmproxy.APIType
	transport llmproxy.Transport // http
	model     string             // as the provider knows it
	answered  string             // the model of the answer; else the snapshot of model, where usage is reported
	status    int                // 200
	outcome   llmproxy.Outcome   // completed
	failure   string             // the error's code
	tier      string             // the service tier

	unreported bool             // the answer reports no usage
	usage      *simulator.Usage // what it reports, where simulator.UsageOf cannot know
}

// recorded holds the next record against want and against the request that reached the
// provider. It says nothing about calls of the provider itself.
func (s *session) recorded(want exchange) {
	s.t.Helper()
	if s.rig == nil {
		return
	}
	rec := s.rig.record()
	requests := s.rig.simulator.Requests()
	if s.rig.compared >= len(requests) {
		s.t.Fatalf("a record without a request: %+v", rec)
	}
	request := requests[s.rig.compared]
	s.rig.compared++

	usage, source := llmproxy.Usage{}, llmproxy.UsageNone
	if !want.unreported {
		usage, source = want.tokens(s, request), llmproxy.UsageProvider
	}
	if rec.Usage != usage || rec.UsageSource != source {
		s.t.Errorf("usage %+v from %s,\nwant  %+v from %s", rec.Usage, rec.UsageSource, usage, source)
	}
	s.compare(rec, want)
	if len(rec.Attempts) != 1 || rec.Attempts[0].Provider != "openai" || rec.Attempts[0].Model != want.model {
		s.t.Errorf("attempts %+v, want one of %s", rec.Attempts, want.model)
	}
	s.secret(request)
}

// tokens returns what the provider reports in answer to request.
func (want *exchange) tokens(s *session, request simulator.Request) llmproxy.Usage {
	s.t.Helper()
	u := want.usage
	if u == nil {
		path, _, _ := strings.Cut(request.URI, "?")
		known, err := simulator.UsageOf(path, request.Body)
		if err != nil {
			s.t.Fatalf("%s: %v", path, err)
		}
		u = &known
	}
	usage := llmproxy.Usage{
		PromptTokens: u.Prompt, CompletionTokens: u.Completion,
		CacheRead: u.Cached, CacheWrite: u.CacheWrite, Reasoning: u.Reasoning,
	}
	if want.api == llmproxy.APIImages {
		usage.OutputImage = u.Completion
	}
	return usage
}

// refused holds the next record against an exchange that reached no provider.
func (s *session) refused(want exchange) {
	s.t.Helper()
	if s.rig == nil {
		return
	}
	rec := s.rig.record()
	if rec.Usage != (llmproxy.Usage{}) || rec.UsageSource != llmproxy.UsageNone || len(rec.Attempts) != 0 {
		s.t.Errorf("usage %+v from %s in %d attempts, want none", rec.Usage, rec.UsageSource, len(rec.Attempts))
	}
	s.compare(rec, want)
	if n := len(s.rig.simulator.Requests()); n != s.rig.compared {
		s.t.Errorf("%d requests reached the provider, want %d", n, s.rig.compared)
	}
}

// compare holds rec against want, besides the usage.
func (s *session) compare(rec llmproxy.Record, want exchange) {
	s.t.Helper()
	if want.transport == "" {
		want.transport = llmproxy.TransportHTTP
	}
	if want.status == 0 {
		want.status = 200
	}
	if want.outcome == "" {
		want.outcome = llmproxy.OutcomeCompleted
	}
	switch {
	case want.answered != "":
	case want.unreported:
		want.answered = want.model
	default:
		want.answered = snapshot(want.model)
	}
	requested := ""
	if want.model != "" {
		requested = s.model(want.model)
	}
	failure := ""
	if rec.Error != nil {
		failure = rec.Error.Code
	}
	for _, f := range []struct {
		name      string
		got, want any
	}{
		{"API", rec.API, want.api},
		{"transport", rec.Transport, want.transport},
		{"model requested", rec.ModelRequested, requested},
		{"model", rec.Model, want.answered},
		{"status", rec.Status, want.status},
		{"outcome", rec.Outcome, want.outcome},
		{"error", failure, want.failure},
		{"service tier", rec.ServiceTier, want.tier},
		{"inconsistent", rec.Inconsistent, false},
		{"unread", rec.Unread, false},
	} {
		if f.got != f.want {
			s.t.Errorf("the record's %s is %v, want %v", f.name, f.got, f.want)
		}
	}
}

// secret checks that the provider got the gateway's key and the client's words, and
// nothing of the client's key.
func (s *session) secret(request simulator.Request) {
	s.t.Helper()
	if got := request.Header.Get("Authorization"); got != "Bearer "+providerKey {
		s.t.Errorf("the provider was called with %q", got)
	}
	if got := request.Header.Get("User-Agent"); !strings.HasPrefix(got, "OpenAI/Go ") {
		s.t.Errorf("the provider was called by %q", got)
	}
	for name, values := range request.Header {
		if strings.Contains(strings.Join(values, " "), clientKey) {
			s.t.Errorf("the client's key reached the provider in %s", name)
		}
	}
}

// snapshot returns the name under which a model of the provider answers.
func snapshot(model string) string {
	for _, m := range simulator.DefaultModels() {
		if m.ID == model && m.Snapshot != "" {
			return m.Snapshot
		}
	}
	return model
}

// record waits for the next record.
func (r *rig) record() llmproxy.Record {
	r.t.Helper()
	select {
	case rec := <-r.records:
		return rec
	case <-r.t.Context().Done():
		r.t.Fatal("no record came")
		panic("unreachable")
	}
}

// settled checks that every record and every request has been looked at.
func (s *session) settled() {
	s.t.Helper()
	if s.rig == nil {
		return
	}
	select {
	case rec := <-s.rig.records:
		s.t.Errorf("a further record: %+v", rec)
	default:
	}
	if n := len(s.rig.simulator.Requests()); n != s.rig.compared {
		s.t.Errorf("%d requests reached the provider, want %d", n, s.rig.compared)
	}
}
