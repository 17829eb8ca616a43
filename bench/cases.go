package bench

import (
	"bytes"
	"fmt"
	"strings"
)

// Case is one kind of exchange.
type Case struct {
	Name     string
	Clients  int  // how many calls are in flight
	Events   int  // of a stream; 0 for a JSON answer
	Paced    bool // the provider sends an event when the client has the one before
	Asked    bool // the client itself asks for usage
	prompt   int  // about how long the request body is, in bytes
	withheld int  // bytes of the answer that a gateway keeps when the client did not ask
}

// Cases returns what is measured: JSON answers to requests of three sizes, and streams.
//
// Flat out, the provider sends event after event, each in a write of its own. Paced, it
// waits for the client, so that each event is read and written on its own by whatever is
// between them.
func Cases() []Case {
	return []Case{
		{Name: "json-1KB", Clients: 16, prompt: 1 << 10},
		{Name: "json-32KB", Clients: 8, prompt: 32 << 10},
		{Name: "json-1MB", Clients: 8, prompt: 1 << 20},
		{Name: "sse-100", Clients: 8, Events: 100, Asked: true, prompt: 1 << 10},
		{Name: "sse-100-unasked", Clients: 8, Events: 100, prompt: 1 << 10, withheld: len(usageChunk)},
		{Name: "sse-5000", Clients: 4, Events: 5000, Asked: true, prompt: 1 << 10},
		{Name: "sse-5000-unasked", Clients: 4, Events: 5000, prompt: 1 << 10, withheld: len(usageChunk)},
		{Name: "paced-100", Clients: 16, Events: 100, Paced: true, Asked: true, prompt: 1 << 10},
		{Name: "paced-100-unasked", Clients: 16, Events: 100, Paced: true, prompt: 1 << 10, withheld: len(usageChunk)},
	}
}

// Idle is a stream that stands still after its first event.
func Idle() Case {
	return Case{Name: "idle", Clients: 1000, Events: 1, Paced: true, Asked: true, prompt: 1 << 10}
}

const model = "gpt-4o-mini"

// request returns the bytes of a request as a client's id-th connection sends it: the
// header of an OpenAI SDK, and a conversation with the model after it.
func (c Case) request(host string, id int) []byte {
	body := c.body()
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\n", host)
	b.WriteString("Accept: application/json\r\n" +
		"Accept-Encoding: gzip, deflate\r\n" +
		"Authorization: Bearer sk-none-0123456789abcdef0123456789abcdef\r\n" +
		"Content-Type: application/json\r\n" +
		"User-Agent: OpenAI/Python 2.8.1\r\n" +
		"X-Stainless-Arch: x64\r\n" +
		"X-Stainless-Async: false\r\n" +
		"X-Stainless-Lang: python\r\n" +
		"X-Stainless-Os: Linux\r\n" +
		"X-Stainless-Package-Version: 2.8.1\r\n" +
		"X-Stainless-Read-Timeout: 600\r\n" +
		"X-Stainless-Retry-Count: 0\r\n" +
		"X-Stainless-Runtime: CPython\r\n" +
		"X-Stainless-Runtime-Version: 3.13.2\r\n")
	fmt.Fprintf(&b, "%s%d\r\nContent-Length: %d\r\n\r\n", clientField, id, len(body))
	b.Write(body)
	return b.Bytes()
}

// clientField tells the provider which client a request comes from.
const clientField = "X-Client: "

func (c Case) body() []byte {
	// Prose with the escapes and the letters beyond ASCII that prose has.
	const sentence = `The naïve reader asks: \"what does it cost?\" and measures it.\nThen it is read again, word by word, until the figure stands. `
	const message = `{"role":"user","content":"`
	var b bytes.Buffer
	b.WriteString(`{"messages":[{"role":"system","content":"You are a helpful assistant."}`)
	const longest = 4 << 10 // of one message
	for left := c.prompt - 200; left > 0; left -= longest {
		b.WriteString("," + message + strings.Repeat(sentence, max(1, min(left, longest)/len(sentence))) + `"}`)
	}
	b.WriteString(`],"model":"` + model + `","max_completion_tokens":1024,"temperature":0.2`)
	if c.Events > 0 {
		b.WriteString(`,"stream":true`)
		if c.Asked {
			b.WriteString(`,"stream_options":{"include_usage":true}`)
		}
	}
	b.WriteString("}")
	return b.Bytes()
}

const answerHeader = "HTTP/1.1 200 OK\r\n" +
	"Date: Mon, 24 Nov 2025 12:00:00 GMT\r\n" +
	"Openai-Organization: example\r\n" +
	"Openai-Processing-Ms: 412\r\n" +
	"Openai-Version: 2020-10-01\r\n" +
	"X-Ratelimit-Limit-Requests: 10000\r\n" +
	"X-Ratelimit-Limit-Tokens: 2000000\r\n" +
	"X-Ratelimit-Remaining-Requests: 9999\r\n" +
	"X-Ratelimit-Remaining-Tokens: 1999744\r\n" +
	"X-Request-Id: req_0123456789abcdef0123456789abcdef\r\n"

const (
	usage = `{"prompt_tokens":215,"completion_tokens":100,"total_tokens":315,` +
		`"prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},` +
		`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`

	chunkHead = `data: {"id":"chatcmpl-CfZ0123456789abcdefghijklmno","object":"chat.completion.chunk","created":1764000000,` +
		`"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_0123456789",`

	usageChunk = chunkHead + `"choices":[],"usage":` + usage + "}\n\n"
	lastChunk  = chunkHead + `"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}` + "\n\n"
	done       = "data: [DONE]\n\n"
)

// answer is what the provider sends: a head, then pieces, each in one write.
type answer struct {
	head   []byte
	pieces [][]byte // a stream's are framed as chunks
	length int      // of the body
	marks  []int    // the bytes of the body that a client has after each piece but the last
}

func (c Case) answer() *answer {
	if c.Events == 0 {
		body := `{"id":"chatcmpl-CfZ0123456789abcdefghijklmno","object":"chat.completion","created":1764000000,` +
			`"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"` +
			strings.Repeat("It costs what it costs. ", 8) + `","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],` +
			`"usage":` + usage + `,"service_tier":"default","system_fingerprint":"fp_0123456789"}`
		head := fmt.Sprintf("%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", answerHeader, len(body))
		return &answer{head: []byte(head + body), length: len(body)}
	}
	a := &answer{head: []byte(answerHeader + "Content-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n")}
	for i := range c.Events {
		event := fmt.Sprintf(`%s"choices":[{"index":0,"delta":{"content":" word%04d"},"logprobs":null,"finish_reason":null}],"usage":null}`+"\n\n", chunkHead, i)
		a.length += len(event)
		a.marks = append(a.marks, a.length)
		a.pieces = append(a.pieces, chunked(event))
	}
	last := lastChunk + usageChunk + done
	a.length += len(last)
	a.pieces = append(a.pieces, append(chunked(last), "0\r\n\r\n"...))
	return a
}

func chunked(piece string) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(piece), piece) }
