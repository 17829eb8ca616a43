package interceptors_test

import (
	"context"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
)

func TestParseTrace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in, want string // want "" is none
	}{
		{traceparent, traceparent},
		{"00-" + traceID + "-b7ad6b7169203331-00", "00-" + traceID + "-b7ad6b7169203331-00"},
		{"00-" + traceID + "-b7ad6b7169203331-ff", "00-" + traceID + "-b7ad6b7169203331-03"}, // flags nobody knows
		{"cc-" + traceID + "-b7ad6b7169203331-01-more", traceparent},                         // a later version
		{"cc-" + traceID + "-b7ad6b7169203331-01", traceparent},
		{"cc-" + traceID + "-b7ad6b7169203331-01.more", ""},
		{traceparent + "-more", ""},
		{"ff-" + traceID + "-b7ad6b7169203331-01", ""},
		{"00-00000000000000000000000000000000-b7ad6b7169203331-01", ""},
		{"00-" + traceID + "-0000000000000000-01", ""},
		{"00-" + strings.ToUpper(traceID) + "-b7ad6b7169203331-01", ""},
		{"00-" + traceID + "-b7ad6b716920333g-01", ""},
		{"00-" + traceID + "_b7ad6b7169203331-01", ""},
		{traceparent[:54], ""},
		{"", ""},
	} {
		got, ok := interceptors.ParseTrace(tt.in)
		if ok != (tt.want != "") || ok && got.String() != tt.want {
			t.Errorf("%q: got %s, %v, want %q", tt.in, got.String(), ok, tt.want)
		}
	}
}

// What is read and written again is what was read.
func FuzzParseTrace(f *testing.F) {
	f.Add(traceparent)
	f.Add("cc-" + traceID + "-b7ad6b7169203331-ff-x")
	f.Fuzz(func(t *testing.T, in string) {
		got, ok := interceptors.ParseTrace(in)
		if !ok {
			if got != (interceptors.Trace{}) {
				t.Errorf("%q: none, and %+v", in, got)
			}
			return
		}
		again, ok := interceptors.ParseTrace(got.String())
		if !ok || again != got || !got.Valid() || got.String()[3:52] != in[3:52] {
			t.Errorf("%q: got %s, then %s, %v", in, got.String(), again.String(), ok)
		}
	})
}

func TestTracingContinuesTheClientsTrace(t *testing.T) {
	t.Parallel()
	for _, way := range ways[:2] {
		s := newSite(t, &interceptors.Tracing{})
		resp, _ := s.post("/v1/responses", way.body, "Traceparent", traceparent, "Tracestate", "vendor=1")
		sent := s.simulator.Requests()[0].Header
		if sent.Get("Traceparent") != traceparent || sent.Get("Tracestate") != "vendor=1" || sent.Get("X-Request-Id") != traceID {
			t.Errorf("%s: the provider got %v", way.name, sent)
		}
		if len(resp.Header["X-Request-Id"]) != 1 || resp.Header.Get("X-Request-Id") == traceID {
			t.Errorf("%s: the provider's request id became %q", way.name, resp.Header["X-Request-Id"])
		}
	}
}

// Without a trace of the client's there is one for all attempts.
func TestTracingBeginsATrace(t *testing.T) {
	t.Parallel()
	s := newSite(t, twice(), &interceptors.Tracing{ResponseHeader: "X-Trace-Id"})
	resp, _ := s.post("/v1/responses", ways[0].body, "X-Simulate", "status=500", "Tracestate", "orphan=1", "X-Request-Id", "mine")
	requests := s.simulator.Requests()
	if len(requests) != 2 {
		t.Fatalf("got %d requests", len(requests))
	}
	first, second := requests[0].Header, requests[1].Header
	if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`).MatchString(first.Get("Traceparent")) || first.Get("Traceparent") != second.Get("Traceparent") {
		t.Errorf("got %q and %q", first["Traceparent"], second["Traceparent"])
	}
	if first.Get("Tracestate") != "" || first.Get("X-Request-Id") != "mine" {
		t.Errorf("the provider got %v", first)
	}
	if got, want := resp.Header.Get("X-Trace-Id"), first.Get("Traceparent")[3:35]; got != want {
		t.Errorf("the answer has %q, want %q", got, want)
	}
}

func TestTracingAsksForInfo(t *testing.T) {
	t.Parallel()
	info := interceptors.Trace{ID: [16]byte{15: 1}, Span: [8]byte{7: 2}, Flags: 1, State: "ours=1"}
	s := newSite(t, &interceptors.Tracing{Info: func(context.Context, *llmproxy.Exchange) interceptors.Trace { return info }})
	s.post("/v1/responses", ways[0].body, "Traceparent", traceparent)
	sent := s.simulator.Requests()[0].Header
	if sent.Get("Traceparent") != "00-00000000000000000000000000000001-0000000000000002-01" || sent.Get("Tracestate") != "ours=1" ||
		sent.Get("X-Request-Id") != hex.EncodeToString(info.ID[:]) {
		t.Errorf("the provider got %v", sent)
	}

	silent := newSite(t, &interceptors.Tracing{Info: func(context.Context, *llmproxy.Exchange) interceptors.Trace { return interceptors.Trace{} }})
	silent.post("/v1/responses", ways[0].body)
	if sent := silent.simulator.Requests()[0].Header; sent["Traceparent"] != nil || sent["X-Request-Id"] != nil {
		t.Errorf("without a trace, the provider got %v", sent)
	}
}

// A provider that names no request leaves the field to the trace.
func TestTracingTellsTheClient(t *testing.T) {
	t.Parallel()
	anonymous := llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		reply, err := next(ctx, x)
		if err == nil {
			reply.Header.Del("X-Request-Id")
		}
		return reply, err
	})
	s := newSite(t, &interceptors.Tracing{}, anonymous)
	resp, _ := s.post("/v1/responses", ways[1].body, "Traceparent", traceparent)
	if got := resp.Header.Get("X-Request-Id"); got != traceID {
		t.Errorf("got %q", got)
	}
}

// The exchange that came in keeps its header.
func TestTracingChangesACopy(t *testing.T) {
	t.Parallel()
	x := &llmproxy.Exchange{ID: "x", Header: http.Header{"Tracestate": {"a=1"}}}
	_, err := (&interceptors.Tracing{}).Intercept(t.Context(), x, func(_ context.Context, y *llmproxy.Exchange) (*llmproxy.Reply, error) {
		if y == x || len(y.Header["Traceparent"]) != 1 {
			t.Errorf("next got %v", y.Header)
		}
		return nil, errPlanned
	})
	if err != errPlanned || len(x.Header) != 1 || x.Header.Get("Tracestate") != "a=1" { //nolint:errorlint // as it was returned
		t.Errorf("got %v, and %v", err, x.Header)
	}
}

func TestTracingPassesTurns(t *testing.T) {
	t.Parallel()
	s := newSite(t, &interceptors.Tracing{Info: func(context.Context, *llmproxy.Exchange) interceptors.Trace {
		t.Error("asked for the trace of a turn")
		return interceptors.Trace{}
	}})
	if r := s.send(ways[2].body, true); r.Outcome != llmproxy.OutcomeCompleted {
		t.Errorf("got %+v", r)
	}
}
