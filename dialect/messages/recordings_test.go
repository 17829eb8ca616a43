package messages_test

import (
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/messages"
)

// What an independent library reads out of recorded answers is what we read. There are no
// differences.
func TestRecordings(t *testing.T) {
	t.Parallel()
	seen := 0
	dialecttest.Recordings(t, "../..", "anthropic", func(r dialecttest.Recording) {
		seen++
		got, done := dialecttest.Read(t, messages.New, r.Response)
		if !done {
			t.Errorf("%s: not done at its end", r.ID)
		}
		want := llmproxy.OutcomeCompleted
		if r.Status >= 400 {
			want = llmproxy.OutcomeFailed
		}
		if got.Outcome != want {
			t.Errorf("%s: status %d, but outcome %q", r.ID, r.Status, got.Outcome)
		}
		if reported := r.Want.Usage != nil; got.UsageReported != reported {
			t.Errorf("%s: usage reported = %v", r.ID, got.UsageReported)
		}
		if got.Inconsistent {
			t.Errorf("%s: inconsistent: %+v", r.ID, got.Usage)
		}
		agree(t, r, got)
		if message := r.Want.Usage != nil; message != (got.FinishReason != "") || message != strings.HasPrefix(got.ID, "msg_") {
			t.Errorf("%s: finish reason %q, id %q", r.ID, got.FinishReason, got.ID)
		}
		if (got.ErrorType != "") != (r.Status >= 400) {
			t.Errorf("%s: status %d, error type %q", r.ID, r.Status, got.ErrorType)
		}
	})
	if seen != 104 {
		t.Errorf("%d recordings, want 104", seen)
	}
}

// Bedrock's InvokeModel answers with the same JSON.
func TestRecordedInvokeModel(t *testing.T) {
	t.Parallel()
	seen := 0
	dialecttest.Recordings(t, "../..", "bedrock", func(r dialecttest.Recording) {
		if !strings.Contains(r.Path, "anthropic.claude") || !strings.HasSuffix(r.Path, "/invoke") || r.Want.Usage == nil {
			return
		}
		seen++
		got, done := dialecttest.Read(t, messages.New, r.Response)
		if !done || got.Outcome != llmproxy.OutcomeCompleted || !got.UsageReported {
			t.Errorf("%s: done = %v, outcome %q, usage reported = %v", r.ID, done, got.Outcome, got.UsageReported)
		}
		agree(t, r, got)
	})
	if seen != 3 {
		t.Errorf("%d recordings, want 3", seen)
	}
}

func agree(t *testing.T, r dialecttest.Recording, got llmproxy.ResponseMetadata) {
	t.Helper()
	if diff := dialecttest.Differences(got.Usage, r.Want); len(diff) > 0 {
		t.Errorf("%s: [ours, the library's] = %v", r.ID, diff)
	}
	if want := r.Want.Model; want != "" && got.Model != want {
		t.Errorf("%s: model %q, want %q", r.ID, got.Model, want)
	}
}
