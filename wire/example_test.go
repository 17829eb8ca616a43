package wire_test

import (
	"fmt"
	"io"
	"os"

	"github.com/llmproxy/llmproxy/wire"
)

// The body of a request is checked and searched once, then edited where it stands.
func ExampleNames_Scan() {
	names := wire.NewNames("model", "stream")
	body := []byte(`{"messages":[{"role":"user","content":"Hi"}],"model":"openai/gpt-5"}`)

	var spans [2]wire.Span
	root, err := names.Scan(body, spans[:])
	if err != nil {
		fmt.Println(err)
		return
	}
	r := wire.NewReader(body, []wire.Edit{
		{Span: spans[0], New: wire.AppendString(nil, "gpt-5")},
		{Span: wire.Span{Start: root.End - 1, End: root.End - 1}, New: []byte(`,"stream":true`)},
	})
	fmt.Println(spans[1].Found(), r.Len())
	io.Copy(os.Stdout, r)
	// Output:
	// false 75
	// {"messages":[{"role":"user","content":"Hi"}],"model":"gpt-5","stream":true}
}

func ExampleMembers() {
	answer := []byte(`{"usage":{"prompt_tokens":12,"completion_tokens":3.0,"cost":null}}`)
	for name, value := range wire.Members(wire.Member(answer, "usage")) {
		n, ok := wire.Int(value)
		fmt.Println(string(name), n, ok)
	}
	// Output:
	// prompt_tokens 12 true
	// completion_tokens 3 true
	// cost 0 false
}

// printer prints the frames it is given.
type printer struct{}

func (printer) Frame(f wire.Frame) { fmt.Printf("%q %q\n", f.Event, f.Data) }

func ExampleSSE() {
	sse := wire.NewSSE(printer{}, 1<<20)
	for _, piece := range []string{"event: greeting\nda", "ta: hello\r", "\ndata: world\n\n: ping\n\n", "data: [DONE]\n\n"} {
		io.WriteString(sse, piece)
	}
	// Output:
	// "greeting" "hello\nworld"
	// "" "[DONE]"
}

func ExampleSplitter() {
	var events wire.Splitter
	for _, piece := range []string{"data: 1\n\ndata", ": 2\n\n"} {
		for p := []byte(piece); len(p) > 0; {
			n, ended := events.Next(p)
			fmt.Printf("%q %v\n", p[:n], ended)
			p = p[n:]
		}
	}
	// Output:
	// "data: 1\n\n" true
	// "data" false
	// ": 2\n\n" true
}
