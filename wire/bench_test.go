package wire_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/llmproxy/llmproxy/wire"
)

// prose is what people write to models, as it stands in JSON: 206 bytes, 6 escapes.
const prose = `The quick brown fox said: \"jump over the lazy dog\".\nThen it went home and slept until noon,\n\n- and dreamt of pipelines, of queues and of long streams of tokens\tthat never end, as foxes do on rainy days. `

// chat returns a chat request of about size bytes whose messages hold content over and
// over.
func chat(size int, content string, modelFirst bool) []byte {
	var b bytes.Buffer
	const model = `"model":"gpt-5-mini","stream":true,"max_output_tokens":1024`
	b.WriteByte('{')
	if modelFirst {
		b.WriteString(model + ",")
	}
	b.WriteString(`"messages":[{"role":"system","content":"You are helpful."},{"role":"user","content":"`)
	b.WriteString(strings.Repeat(content, max(1, (size-200)/len(content))))
	b.WriteString(`"}]`)
	if !modelFirst {
		b.WriteString("," + model)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// conversation returns a chat request of about size bytes with many small messages.
func conversation(size int, separator string) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"gpt-5-mini","stream":true,"messages":[`)
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteString("," + separator)
		}
		fmt.Fprintf(&b, `{"role":%s"user",%[1]s"content":%[1]s"What is %d + %d? Say it in one word.",%[1]s"n":[%[2]d,%[3]d.5,true]}`, separator, i, i*i)
	}
	b.WriteString(`],"max_output_tokens":1024}`)
	return b.Bytes()
}

func bodies() []struct {
	name string
	text []byte
} {
	image := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("\x89PNG\r\n\x1a\n and so on"), 40_000))
	return []struct {
		name string
		text []byte
	}{
		{"1KB/first", chat(1<<10, prose, true)},
		{"1KB/last", chat(1<<10, prose, false)},
		{"32KB/first", chat(32<<10, prose, true)},
		{"32KB/last", chat(32<<10, prose, false)},
		{"1MB/first", chat(1<<20, prose, true)},
		{"1MB/last", chat(1<<20, prose, false)},
		{"1MB/accents", chat(1<<20, `Où est passé l’été? Il était là, près du café fermé, où l’on rêvait.\n`, false)},
		{"1MB/chinese", chat(1<<20, `敏捷的棕色狐狸跳过了懒狗,然后回家睡觉。\n`, false)},
		{"1MB/code", chat(1<<20, `\tif err != nil {\n\t\treturn fmt.Errorf(\"open %q: %w\", name, err)\n\t}\n`, false)},
		{"1MB/messages", conversation(1<<20, "")},
		{"1MB/spaced", conversation(1<<20, " ")},
		{"1MB/image", chat(1<<20, image, false)},
	}
}

// What Names.Scan costs, beside a decoder that is as strict.
func BenchmarkScan(b *testing.B) {
	names := wire.NewNames("model", "stream", "max_output_tokens", "input", "messages_x", "service_tier")
	for _, body := range bodies() {
		b.Run("wire/"+body.name, func(b *testing.B) {
			b.SetBytes(int64(len(body.text)))
			b.ReportAllocs()
			var spans [6]wire.Span
			for b.Loop() {
				if _, err := names.Scan(body.text, spans[:]); err != nil || !spans[2].Found() {
					b.Fatal(err)
				}
			}
		})
		b.Run("json/"+body.name, func(b *testing.B) {
			b.SetBytes(int64(len(body.text)))
			b.ReportAllocs()
			for b.Loop() {
				var v struct {
					Model  string `json:"model"`
					Stream bool   `json:"stream"`
					Max    int    `json:"max_output_tokens"`
				}
				if err := json.Unmarshal(body.text, &v); err != nil || v.Max == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}

// The floor of one part of Scan.
func BenchmarkValidUTF8(b *testing.B) {
	for _, body := range bodies() {
		b.Run(body.name, func(b *testing.B) {
			b.SetBytes(int64(len(body.text)))
			for b.Loop() {
				if !utf8.Valid(body.text) {
					b.Fatal("invalid")
				}
			}
		})
	}
}

func BenchmarkSplice(b *testing.B) {
	for _, body := range bodies()[:6] {
		var spans [1]wire.Span
		if _, err := wire.NewNames("model").Scan(body.text, spans[:]); err != nil {
			b.Fatal(err)
		}
		edits := []wire.Edit{{Span: spans[0], New: fresh}}
		b.Run("Splice/"+body.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				wire.Splice(body.text, edits...)
			}
		})
		b.Run("Reader/"+body.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := wire.NewReader(body.text, edits).WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Usage of an answer, behind its text.
func BenchmarkMember(b *testing.B) {
	const usage = `"usage":{"prompt_tokens":1000,"completion_tokens":20,"total_tokens":1020}`
	embedding := `{"object":"embedding","embedding":[` + strings.Repeat("-0.012345678,", 1535) + `0.5]},`
	for _, tt := range []struct{ name, text string }{
		{"chunk", `{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1700000000,"model":"gpt-5-mini","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],` + usage + `}`},
		{"answer", `{"id":"resp-123","output":[{"type":"message","content":[{"type":"output_text","text":"` + strings.Repeat(prose, 100) + `"}]}],` + usage + `}`},
		{"embeddings", `{"object":"list","data":[` + strings.TrimSuffix(strings.Repeat(embedding, 50), ",") + `],` + usage + `}`},
		{"messages", string(conversation(1<<20, "")[:1<<20-1000]) + `"}],` + usage + `}`},
	} {
		text := []byte(tt.text)
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := wire.Int(wire.Member(wire.Member(text, "usage"), "total_tokens")); !ok && tt.name != "messages" {
					b.Fatal("not found")
				}
			}
		})
	}
}

func BenchmarkString(b *testing.B) {
	for _, value := range []string{`"chatcmpl-0123456789"`, `"` + prose + `"`, `"` + strings.Repeat("x", 32<<10) + `"`} {
		b.Run(fmt.Sprint(len(value)), func(b *testing.B) {
			b.SetBytes(int64(len(value)))
			value := []byte(value)
			b.ReportAllocs()
			for b.Loop() {
				wire.String(value)
			}
		})
	}
}

func BenchmarkSSE(b *testing.B) {
	delta := `event: response.output_text.delta` + "\n" + `data: {"type":"response.output_text.delta","item_id":"msg_0123456789","output_index":0,"content_index":0,"delta":" word"}` + "\n\n"
	small := []byte(strings.Repeat(delta, 2000))
	large := []byte("data: " + strings.Repeat("x", 2<<20) + "\n\n")
	for _, tt := range []struct {
		name   string
		stream []byte
		size   int
	}{
		{"events/whole", small, len(small)},
		{"events/each", small, len(delta)},
		{"events/32KB", small, 32 << 10},
		{"events/1400B", small, 1400},
		{"events/1B", small, 1},
		{"events/CRLF", bytes.ReplaceAll(small, []byte("\n"), []byte("\r\n")), 32 << 10},
		{"events/CR", bytes.ReplaceAll(small, []byte("\n"), []byte("\r")), 32 << 10},
		{"large/1400B", large, 1400},
		{"large/1B", large, 1},
		{"lines/LF", bytes.Repeat([]byte("\n"), 1<<20), 32 << 10},
		{"lines/CR", bytes.Repeat([]byte("\r"), 1<<20), 32 << 10},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(tt.stream)))
			b.ReportAllocs()
			var sink discard
			s := wire.NewSSE(&sink, 0)
			for b.Loop() {
				for p := tt.stream; len(p) > 0; {
					n := min(tt.size, len(p))
					s.Write(p[:n])
					p = p[n:]
				}
			}
		})
		b.Run("Splitter/"+tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(tt.stream)))
			var s wire.Splitter
			for b.Loop() {
				for rest := tt.stream; len(rest) > 0; {
					piece := rest[:min(tt.size, len(rest))]
					rest = rest[len(piece):]
					for len(piece) > 0 {
						n, _ := s.Next(piece)
						piece = piece[n:]
					}
				}
			}
		})
	}
}
