package llmproxy

import (
	"strings"
	"testing"
)

// What it costs to tell what a message is.
func BenchmarkReadWSMessage(b *testing.B) {
	delta := []byte(`{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_0123456789abcdef0123456789abcdef","output_index":0,"content_index":0,"delta":" word","logprobs":[],"obfuscation":"` + strings.Repeat("x", 80) + `","stream_id":"main"}`)
	completed := []byte(`{"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"` + strings.Repeat("word ", 6000) + `"}]}],"usage":{"input_tokens":1}}}`)
	create := []byte(`{"type":"response.create","model":"gpt-5-mini","input":"` + strings.Repeat("word ", 6000) + `","stream":true}`)
	for _, tt := range []struct {
		name string
		p    []byte
		read func(p []byte)
	}{
		{"delta", delta, func(p []byte) { readServerEvent(p, false) }},
		{"delta-with-lanes", delta, func(p []byte) { readServerEvent(p, true) }},
		{"completed-30KB", completed, func(p []byte) { readServerEvent(p, true) }},
		{"create-30KB", create, func(p []byte) { _, _ = readClientEvent(p) }},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(tt.p)))
			b.ReportAllocs()
			for b.Loop() {
				tt.read(tt.p)
			}
		})
	}
}
