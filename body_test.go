package llmproxy

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/llmproxy/llmproxy/wire"
)

func TestIncludeUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{ // want "": no edit
		{`{"stream":true}`, `{"stream":true,"stream_options":{"include_usage":true}}`},
		{"{\"stream\": true\n}\n", "{\"stream\": true\n,\"stream_options\":{\"include_usage\":true}}\n"},
		{`{"stream_options":null,"a":1}`, `{"stream_options":{"include_usage":true},"a":1}`},
		{`{"stream_options":{}}`, `{"stream_options":{"include_usage":true}}`},
		{`{"stream_options":{ }}`, `{"stream_options":{ "include_usage":true}}`},
		{`{"stream_options":{"x":1}}`, `{"stream_options":{"x":1,"include_usage":true}}`},
		{`{"stream_options":{"include_usage" : false,"x":1}}`, `{"stream_options":{"include_usage" : true,"x":1}}`},
		{`{"stream_options":{"include_obfuscation":false,"include_usage":null}}`, `{"stream_options":{"include_obfuscation":false,"include_usage":true}}`},
		{`{"stream_options":{"include_usage":true}}`, ""},
		// For the provider to refuse.
		{`{"stream_options":[]}`, ""},
		{`{"stream_options":"x"}`, ""},
		{`{"stream_options":{"include_usage":1}}`, ""},
		{`{"stream_options":{"include_usage":false,"include_usage":true}}`, ""},
	} {
		b, err := ParseBody([]byte(tt.in))
		if err != nil {
			t.Fatalf("%s: %v", tt.in, err)
		}
		edit, ok := includeUsage(b)
		got := ""
		if ok {
			got = string(wire.Splice(b.bytes, edit))
		}
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

// Members that only routed are removed with their names and commas.
func TestWithoutRouting(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{`{"model":"m","contents":[]}`, `{"contents":[]}`},
		{`{"contents":[], "model" : "m" , "stream":true}`, `{"contents":[] }`},
		{`{"contents":[], "model" : "m" }`, `{"contents":[] }`},
		{`{"a":1,"stream":false,"contents":[]}`, `{"a":1,"contents":[]}`},
		{`{"model":"m"}`, `{}`},
		{`{ "mod\u0065l":"m\"," , "x":":\"" }`, `{ "x":":\"" }`},
		{"{\n  \"modelId\": \"m\",\n  \"messages\": []\n}", "{\n  \"messages\": []\n}"},
		{`{"contents":[]}`, `{"contents":[]}`},
	} {
		b, err := ParseBody([]byte(tt.in))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(wire.Splice(b.bytes, b.without(memberModel, memberModelID, memberStream)...)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.in, got, tt.want)
		}
	}
}

// The model of a path is also replaced where embeddings and token counts repeat it.
func TestModelTwins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ verb, in, want string }{
		{":embedContent", `{"model":"models/google/g","content":{}}`, `{"model":"models/g","content":{}}`},
		{":batchEmbedContents", `{"requests":[{"model" : "models/google/g"},{"content":{"parts":[{"text":"\"model\":\"models/google/g\""}]},"model":"models/google/g"}]}`, `{"requests":[{"model" : "models/g"},{"content":{"parts":[{"text":"\"model\":\"models/google/g\""}]},"model":"models/g"}]}`},
		{":countTokens", `{"generateContentRequest":{"model":"models/google/g","contents":[]}}`, `{"generateContentRequest":{"model":"models/g","contents":[]}}`},
		{":embedContent", `{"model":"models/other","x":"model"}`, `{"model":"models/other","x":"model"}`},
		{":generateContent", `{"contents":[{"parts":[{"functionCall":{"args":{"model":"models/google/g"}}}]}]}`, `{"contents":[{"parts":[{"functionCall":{"args":{"model":"models/google/g"}}}]}]}`},
	} {
		b, err := ParseBody([]byte(tt.in))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := detect(httptest.NewRequest("POST", "/v1beta/models/google/g"+tt.verb, nil), false)
		x := &Exchange{Operation: got.op, Body: b, Meta: BodyMetadata{Model: "google/g"}, Route: Route{Model: "g"}}
		edits, _ := x.edits(false)
		if got := string(wire.Splice(b.bytes, edits...)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.verb, got, tt.want)
		}
	}
}

func TestUsageOnly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want bool
	}{
		{`{"choices":[],"usage":{"prompt_tokens":1}}`, true},
		{`{"choices": [ ],"usage":{}}`, true},
		{`{"choices":null,"usage":{}}`, true},
		{`{"usage":{}}`, true},
		{`{"choices":[{"delta":{}}],"usage":{}}`, false},
		{`{"choices":[],"usage":null}`, false},
		{`{"choices":[],"prompt_filter_results":[]}`, false},
		{`{"choices":{},"usage":{}}`, false},
		{`[DONE]`, false},
		{`{"choices":[],"usage":`, false},
		{`{"choices":[],"usage":{}`, false},
		{`{"choices":[],"usage":"{}"}`, false},
		{`{"choices":[],"usage":{},"error":{"code":1}}`, false},
		{` {"choices":[],"usage":{},"error":null} `, true},
		{`{"choices":[],"prompt_filter_results":[{"usage":{"a":1}}]}`, false},
		{`[{"choices":[],"usage":{}}]`, false},
		{``, false},
	} {
		if got := usageOnly([]byte(tt.in)); got != tt.want {
			t.Errorf("%s: got %t", tt.in, got)
		}
	}
}

// pieces is a Stream of given pieces.
type pieces struct {
	list [][]byte
	err  error
}

func (p *pieces) Next() ([]byte, error) {
	if len(p.list) == 0 {
		return nil, p.err
	}
	piece := p.list[0]
	p.list = p.list[1:]
	return piece, nil
}

func (p *pieces) Close() error { return nil }

func drain(t *testing.T, s Stream) (string, error) {
	t.Helper()
	var got []byte
	for {
		piece, err := s.Next()
		if err != nil {
			return string(got), err
		}
		if len(piece) == 0 {
			t.Fatal("an empty piece")
		}
		got = append(got, piece...)
	}
}

func TestWithhold(t *testing.T) {
	t.Parallel()
	const (
		first = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n"
		usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\n\n"
		done  = "data: [DONE]\n\n"
	)
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	large := "data: {\"x\":\"" + strings.Repeat("a", 300) + "\",\"usage\":{}}\n\n"
	for _, tt := range []struct{ name, in, want string }{
		{"plain", first + usage + done, first + done},
		{"CRLF", crlf(first + usage + done), crlf(first + done)},
		{"lone CR", strings.ReplaceAll(first+usage+done, "\n", "\r"), strings.ReplaceAll(first+done, "\n", "\r")},
		{"comment in front", ": ping\n\n" + usage + ": ping\n\n" + done, ": ping\n\n: ping\n\n" + done},
		{"usage beside choices stays", strings.Replace(usage, "[]", "[{}]", 1) + done, strings.Replace(usage, "[]", "[{}]", 1) + done},
		{"no space, several lines", "data:{\"choices\":[],\ndata:\"usage\":{}}\n\n" + done, done},
		{"twice", usage + usage + done, done},
		{"ends without its blank line", first + strings.TrimSuffix(usage, "\n"), first},
		{"ends inside an event", first + "data: {\"cho", first + "data: {\"cho"},
		{"too large to hold", large + usage + done, large + done},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for size := 1; size <= len(tt.in); size++ {
				var list [][]byte
				for c := range slices.Chunk([]byte(tt.in), size) {
					list = append(list, c)
				}
				got, err := drain(t, &withhold{src: &pieces{list, io.EOF}, limit: 200})
				if got != tt.want || err != io.EOF {
					t.Fatalf("in pieces of %d: got %q, %v\nwant %q", size, got, err, tt.want)
				}
			}
		})
	}
}

// What is held back when a stream breaks has arrived, and goes to the client.
func TestWithholdBroken(t *testing.T) {
	t.Parallel()
	broken := errors.New("reset")
	in := "data: {\"choices\":[],\"usage\":{}}"
	got, err := drain(t, &withhold{src: &pieces{[][]byte{[]byte(in)}, broken}, limit: 200})
	if got != in || err != broken { //nolint:errorlint // the very error
		t.Errorf("got %q, %v", got, err)
	}
}

func TestReadAll(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("0123456789abcdef"), 3*mib/16)
	for _, n := range []int{0, 1, 8191, 8192, 8193, mib - 1, mib, mib + 1, 3 * mib} {
		for _, size := range []int64{-1, int64(n)} {
			got, err := readAll(iotest.HalfReader(bytes.NewReader(text[:n])), size, 3*mib)
			if err != nil || !bytes.Equal(got, text[:n]) {
				t.Errorf("%d bytes, size %d: got %d, %v", n, size, len(got), err)
			}
		}
	}
	if _, err := readAll(bytes.NewReader(text), -1, 3*mib-1); !errors.Is(err, errTooLarge) {
		t.Errorf("over the limit: got %v", err)
	}
}

// A client that announces much and sends little must not make us allocate much.
func TestReadAllDoesNotTrustTheSize(t *testing.T) {
	t.Parallel()
	got, err := readAll(strings.NewReader("short"), 1<<40, 1<<41)
	if err != nil || cap(got) > 2*mib {
		t.Errorf("got %d bytes of capacity, %v", cap(got), err)
	}
}

func FuzzIncludeUsage(f *testing.F) {
	f.Add([]byte(`{"stream":true,"stream_options":{"include_usage":false}}`))
	f.Add([]byte(`{"stream_options" : null}`))
	f.Add([]byte(`{"a":{}, "stream_options":{"x":[]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := ParseBody(text)
		if err != nil {
			return
		}
		edit, ok := includeUsage(b)
		if !ok {
			return
		}
		spliced := wire.Splice(text, edit)
		after, err := ParseBody(spliced)
		if len(wire.Member(b.bytes, "stream_options")) == 0 && string(bytes.TrimSpace(text)) == "{}" {
			return // a body without members never streams
		}
		if err != nil {
			t.Fatalf("%q became %q: %v", text, spliced, err)
		}
		meta, _ := after.metadata()
		if !meta.IncludeUsage {
			t.Fatalf("%q became %q, which does not ask", text, spliced)
		}
	})
}

// What is forwarded of a stream is the stream less its usage-only events, however the
// bytes were cut.
func FuzzWithhold(f *testing.F) {
	f.Add([]byte("data: {\"usage\":{}}\n\ndata: 1\r\n\r\n: x\n\n"), uint(3), uint(9))
	f.Add([]byte("data: 1\r\rdata: {\"choices\":[],\"usage\":{}}\r\n\r\n"), uint(1), uint(30))
	f.Fuzz(func(t *testing.T, stream []byte, a, b uint) {
		if len(stream) == 0 {
			return
		}
		i, j := int(a%uint(len(stream))), int(b%uint(len(stream)))
		if i > j {
			i, j = j, i
		}
		var list [][]byte
		for _, p := range [][]byte{stream[:i], stream[i:j], stream[j:]} {
			if len(p) > 0 {
				list = append(list, p)
			}
		}
		whole, _ := drain(t, &withhold{src: &pieces{[][]byte{stream}, io.EOF}, limit: kib * 64})
		cut, _ := drain(t, &withhold{src: &pieces{list, io.EOF}, limit: kib * 64})
		if whole != cut {
			t.Fatalf("cut at %d and %d: %q, whole: %q", i, j, cut, whole)
		}
		if !bytes.Contains(stream, []byte(`"usage"`)) && whole != string(stream) {
			t.Fatalf("%q became %q", stream, whole)
		}
	})
}
