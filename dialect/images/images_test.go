package images_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/images"
	"github.com/llmproxy/llmproxy/wire"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	const counts = `"usage":{"input_tokens":50,"input_tokens_details":{"image_tokens":40,"text_tokens":10},"output_tokens":1000,"total_tokens":1050}`
	answer := func(text int64) llmproxy.ResponseMetadata {
		return llmproxy.ResponseMetadata{
			Outcome:       llmproxy.OutcomeCompleted,
			Usage:         llmproxy.Usage{PromptTokens: 50, InputImage: 40, CompletionTokens: 1000, OutputImage: 1000 - text},
			UsageReported: true,
		}
	}
	body := func(details string) string {
		return `{"created":1,"data":[{"b64_json":"AAAA"}],` + counts[:len(counts)-1] + details + `}}`
	}
	const partial = `{"type":"image_generation.partial_image","b64_json":"AAAA","partial_image_index":0}`
	completed := `{"type":"image_generation.completed","b64_json":"AAAA",` + counts + `}`
	event := func(data string) string {
		_, name, _ := strings.Cut(data, `"type":"`)
		name, _, _ = strings.Cut(name, `"`)
		return "event: " + name + "\ndata: " + data + "\n\n"
	}
	for _, tt := range []struct {
		name, answer string
		want         llmproxy.ResponseMetadata
		done         bool
	}{
		{"no details: output is images", body(``), answer(0), true},
		{"image details", body(`,"output_tokens_details":{"image_tokens":900,"text_tokens":100}`), answer(100), true},
		{"text details", body(`,"output_tokens_details":{"text_tokens":100}`), answer(100), true},
		{"zeros beside an image", `{"data":[{"url":"u"}],"usage":{"input_tokens":0,"output_tokens":0,"total_tokens":0}}`, llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted}, true},
		{"zeros beside a streamed image", event(`{"type":"image_generation.completed","b64_json":"AAAA","usage":{"input_tokens":0,"output_tokens":0}}`), llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted}, true},
		{"charged by the image", `{"created":1,"data":[{"url":"u"}]}`, llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted}, true},
		{"stream", event(partial) + event(completed), answer(0), true},
		{"stream without names", "data: " + partial + "\n\ndata: " + completed + "\n\n", answer(0), true},
		{"stream of an edit", event(strings.ReplaceAll(partial+"", "image_generation", "image_edit")) + event(strings.ReplaceAll(completed, "image_generation", "image_edit")), answer(0), true},
		{"stream without usage", event(`{"type":"image_generation.completed","b64_json":"AAAA"}`), llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted}, true},
		{"cut stream", event(partial), llmproxy.ResponseMetadata{}, false},
		{
			"stream that fails", event(partial) + event(`{"type":"error","error":{"type":"image_generation_user_error","code":"moderation_blocked","message":"secret"}}`),
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "image_generation_user_error", ErrorCode: "moderation_blocked"},
			true,
		},
		{
			"error", `{"error":{"type":"invalid_request_error","code":null,"message":"secret"}}`,
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "invalid_request_error"},
			true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, done := dialecttest.Read(t, images.New, tt.answer)
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("done = %v, want %v; want - got +:\n%s", done, tt.done, diff)
			}
		})
	}
}

func partialImage() wire.Frame {
	return wire.Frame{
		Event: []byte("image_generation.partial_image"),
		Data:  []byte(`{"type":"image_generation.partial_image","b64_json":"` + strings.Repeat("A", 1<<20) + `"}`),
	}
}

func TestNoAllocations(t *testing.T) {
	x, f := images.New(), partialImage()
	if n := testing.AllocsPerRun(100, func() { x.Frame(f) }); n != 0 {
		t.Errorf("%v allocations a frame, want 0", n)
	}
}

func BenchmarkFrame(b *testing.B) {
	x, f := images.New(), partialImage()
	b.SetBytes(int64(len(f.Data)))
	b.ReportAllocs()
	for b.Loop() {
		x.Frame(f)
	}
}
