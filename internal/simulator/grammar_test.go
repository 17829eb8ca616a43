package simulator_test

import (
	"reflect"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

func TestParseScript(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header string
		want   simulator.Script
	}{
		{"", simulator.Script{}},
		{" , ", simulator.Script{}},
		{"status=503 , code=x", simulator.Script{Status: 503, Code: "x"}},
		{"cut-bytes=0,cut-events=0", simulator.Script{CutBytes: new(int64(0)), CutEvents: new(0)}},
		{"huge", simulator.Script{HugeEvent: 3 << 20}},
		{"huge=9,events=3,json-bytes=7", simulator.Script{HugeEvent: 9, Events: 3, JSONBytes: 7}},
		{"piece", simulator.Script{PieceBytes: 1}},
		{"end=incomplete", simulator.Script{Ending: simulator.EndIncomplete}},
		{"end=failed", simulator.Script{Ending: simulator.EndFailed}},
		{"end=error", simulator.Script{Ending: simulator.EndError}},
		{"usage=none", simulator.Script{Report: simulator.ReportNone}},
		{"usage=finish", simulator.Script{Report: simulator.ReportFinish}},
		{"usage=x_groq", simulator.Script{Report: simulator.ReportXGroq}},
		{"usage=every", simulator.Script{Report: simulator.ReportEvery}},
		{"usage=null-choices", simulator.Script{Report: simulator.ReportNullChoices}},
		{"eol=crlf", simulator.Script{LineEnd: "\r\n"}},
		{"eol=cr", simulator.Script{LineEnd: "\r"}},
		{
			"early,short,unfinished,close-delimited,no-done,done,keepalive",
			simulator.Script{Early: true, Short: true, Unfinished: true, CloseDelimited: true, NoDone: true, Done: true, KeepAlive: true},
		},
		{
			"no-space,multi-line,comments,bom,gzip,trailers,cookies,hop-by-hop",
			simulator.Script{NoSpace: true, MultiLine: true, Comments: true, BOM: true, Gzip: true, Trailers: true, Cookies: true, HopByHop: true},
		},
		{
			"prompt-tokens=1,cached-tokens=2,cache-write-tokens=3,completion-tokens=4,reasoning-tokens=0",
			simulator.Script{Counts: simulator.Counts{
				Prompt: new(int64(1)), Cached: new(int64(2)), CacheWrite: new(int64(3)), Completion: new(int64(4)), Reasoning: new(int64(0)),
			}},
		},
		{
			"redirect=http://h/p?q=1,retry-after=1,retry-after-ms=2,should-retry=true",
			simulator.Script{Redirect: "http://h/p?q=1", RetryAfter: "1", RetryAfterMS: "2", ShouldRetry: "true"},
		},
	} {
		got, err := simulator.ParseScript(tt.header, simulator.Script{})
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: got %+v, %v", tt.header, got, err)
		}
	}
	for _, header := range []string{"delay=1ms", "pace=0s", "hang", "hang=body", "hang=3"} {
		got, err := simulator.ParseScript(header, simulator.Script{})
		if err != nil || got.BeforeHeader == nil && got.BeforeBody == nil && got.BeforeEvent == nil {
			t.Errorf("%q: no gate, %v", header, err)
		}
	}
	for header, want := range map[string]string{
		"what":            `no word "what"`,
		"gzip=1":          "gzip takes no value",
		"status":          "status=: want a number from 300 to 599",
		"status=42":       "status=42: want a number from 300 to 599",
		"cut-bytes=-1":    "cut-bytes=-1: want a number from 0 to 4294967296",
		"cut-bytes":       "cut-bytes=: want a number from 0 to 4294967296",
		"end=now":         "end=now: want one of incomplete, failed, error",
		"eol=nl":          "eol=nl: want one of crlf, cr, lf",
		"delay=5":         "delay=5: want a duration such as 200ms",
		"pace=-1s":        "pace=-1s: want a duration such as 200ms",
		"code":            "code wants a value",
		"hang=now":        "hang=now: want a number from 0 to 131072",
		"prompt-tokens=x": "prompt-tokens=x: want a number from 0 to 1099511627776",
	} {
		_, err := simulator.ParseScript(header, simulator.Script{})
		if err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", header, err, want)
		}
	}
}

// TestUnknownWord holds that a test with a slip of the pen does not pass by accident.
func TestUnknownWord(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	a := p.post("/v1/chat/completions", chatBody, "gzipp")
	want := `{"error":{"message":"X-Simulate: no word \"gzipp\"","type":"invalid_request_error",` +
		`"param":"X-Simulate","code":"invalid_value"}}`
	if a.StatusCode != 400 || a.body != want {
		t.Errorf("got %d %s, want 400 %s", a.StatusCode, a.body, want)
	}
}
