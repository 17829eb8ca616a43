package images_test

import (
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/images"
)

// BerriAI/litellm#31142: images were charged as text where the answer does not say what
// its output is; images in the prompt were left out.
func TestOutputIsImages(t *testing.T) {
	t.Parallel()
	m, _ := dialecttest.Read(t, images.New, `{"created":1,"data":[{"b64_json":"QQ=="}],"usage":{"input_tokens":1500,"output_tokens":4000,"total_tokens":5500,"input_tokens_details":{"text_tokens":500,"image_tokens":1000}}}`)
	want := llmproxy.Usage{PromptTokens: 1500, CompletionTokens: 4000, InputImage: 1000, OutputImage: 4000}
	if m.Usage != want || !m.UsageReported || m.Inconsistent {
		t.Errorf("got %+v, want %+v", m, want)
	}
	rates := llmproxy.CostInfo{Input: 5_000_000, InputImage: 8_000_000, Output: 10_000_000, OutputImage: 32_000_000}
	if cost, err := rates.Cost(m.Usage); err != nil || cost.String() != "0.1385" {
		t.Errorf("it costs %s, %v, want 0.1385", cost, err)
	}
}
