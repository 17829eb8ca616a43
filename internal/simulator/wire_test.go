package simulator_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

func TestCutBytes(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct{ path, body string }{
		{"/v1/chat/completions", chatBody},
		{"/v1/chat/completions", chatStream},
		{"/v1/responses", responseStream},
	} {
		whole := p.whole(p.post(tt.path, tt.body, ""))
		for _, n := range []int{0, 1, 100, len(whole)} {
			if n == len(whole) && tt.body == chatBody {
				continue // with all of its Content-Length a body is whole
			}
			a := p.post(tt.path, tt.body, "cut-bytes="+strconv.Itoa(n))
			p.wantCut(a)
			if a.body != whole[:n] {
				t.Errorf("%s: cut at %d: got %q", tt.path, n, a.body)
			}
		}
	}
}

func TestCutEvents(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	whole := strings.SplitAfter(p.whole(p.post("/v1/chat/completions", chatStream, "")), "\n\n")
	for n := range 3 {
		a := p.post("/v1/chat/completions", chatStream, "cut-events="+strconv.Itoa(n))
		p.wantCut(a)
		if want := strings.Join(whole[:n], ""); a.body != want {
			t.Errorf("after %d events: got %q, want %q", n, a.body, want)
		}
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	whole := p.whole(p.post("/v1/chat/completions", chatBody, ""))
	a := p.post("/v1/chat/completions", chatBody, "short")
	p.wantCut(a)
	if a.ContentLength != int64(len(whole)) || a.body != whole[:len(whole)/2] {
		t.Errorf("Content-Length %d and %d bytes, want %d and half of them", a.ContentLength, len(a.body), len(whole))
	}
}

func TestUnfinished(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct{ path, body, lost string }{
		{"/v1/chat/completions", chatStream, `"finish_reason":"stop"`},
		{"/v1/chat/completions", chatStream, "[DONE]"},
		{"/v1/responses", responseStream, "response.completed"},
		{"/v1/completions", `{"model":"gpt-3.5-turbo-instruct","prompt":"one","stream":true}`, `"finish_reason":"stop"`},
	} {
		got := p.whole(p.post(tt.path, tt.body, "unfinished"))
		whole := p.whole(p.post(tt.path, tt.body, ""))
		if !strings.HasPrefix(whole, got) || strings.Contains(got, tt.lost) || !strings.Contains(whole, tt.lost) {
			t.Errorf("%s: want the stream without its end, got %q", tt.path, got)
		}
	}
}

// raw sends body over a connection of its own and returns all that comes back.
func (p *provider) raw(path, body, simulate string) (head, rest string) {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.server.Listener.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	r := p.request(http.MethodPost, path, body, "X-Simulate: "+simulate)
	if err := r.Write(conn); err != nil {
		p.t.Fatal(err)
	}
	// The server ends the connection when it sees that nothing more will come.
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
	raw, err := io.ReadAll(conn)
	if err != nil {
		p.t.Fatal(err)
	}
	head, rest, _ = strings.Cut(string(raw), "\r\n\r\n")
	return head, rest
}

func TestCloseDelimited(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct{ body, simulate string }{
		{chatBody, "close-delimited"},
		{chatStream, "close-delimited"},
		{chatStream, "close-delimited,cut-events=2"},
		{chatStream, "close-delimited,cut-bytes=77"},
	} {
		whole := p.whole(p.post("/v1/chat/completions", tt.body, ""))
		want := whole
		switch {
		case strings.HasSuffix(tt.simulate, "=2"):
			want = strings.Join(strings.SplitAfter(whole, "\n\n")[:2], "")
		case strings.HasSuffix(tt.simulate, "=77"):
			want = whole[:77]
		}
		head, got := p.raw("/v1/chat/completions", tt.body, tt.simulate)
		if got != want {
			t.Errorf("%s: got %q, want %q", tt.simulate, got, want)
		}
		if !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") || strings.Contains(head, "Content-Length") ||
			strings.Contains(head, "Transfer-Encoding") || !strings.Contains(head, "\r\nConnection: close") {
			t.Errorf("%s: header %q", tt.simulate, head)
		}
		// A client cannot see the cut: the body just ends.
		if a := p.post("/v1/chat/completions", tt.body, tt.simulate); a.err != nil || a.body != want {
			t.Errorf("%s: error %v, body %q", tt.simulate, a.err, a.body)
		}
	}
}

func TestHopByHop(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	head, _ := p.raw("/v1/chat/completions", chatBody, "hop-by-hop,cookies")
	for _, want := range []string{
		"Connection: keep-alive, X-Sim-Hop", "X-Sim-Hop: ", "Keep-Alive: timeout=5", "Proxy-Authenticate: ",
		"Proxy-Connection: ", "Set-Cookie: __cf_bm=", "Set-Cookie: _cfuvid=",
	} {
		if !strings.Contains(head, "\r\n"+want) {
			t.Errorf("no field %q in %q", want, head)
		}
	}
}

// TestForms holds that a form changes how a stream looks and not what it says.
func TestForms(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	plain := p.whole(p.post("/v1/responses", responseStream, ""))
	for _, tt := range []struct {
		simulate string
		undo     func(string) string
	}{
		{"eol=crlf", func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }},
		{"eol=cr", func(s string) string { return strings.ReplaceAll(s, "\r", "\n") }},
		{"no-space", func(s string) string {
			s = strings.ReplaceAll(s, "\ndata:", "\ndata: ")
			return strings.TrimPrefix(strings.ReplaceAll("\n"+s, "\nevent:", "\nevent: "), "\n")
		}},
		{"multi-line", func(s string) string {
			return strings.ReplaceAll(strings.ReplaceAll(s, "data: {\ndata: ", "data: {"), "\ndata: }\n\n", "}\n\n")
		}},
		{"comments", func(s string) string { return strings.ReplaceAll(s, ": keep-alive\n\n", "") }},
		{"bom", func(s string) string { return strings.TrimPrefix(s, "\ufeff") }},
		{"piece", func(s string) string { return s }},
		{"piece=7", func(s string) string { return s }},
		{"gzip", unzipped},
		{"gzip,piece=3", unzipped},
		{"trailers", func(s string) string { return s }},
	} {
		got := p.whole(p.post("/v1/responses", responseStream, tt.simulate))
		if strings.HasPrefix(tt.simulate, "piece") || tt.simulate == "trailers" {
			if got != plain {
				t.Errorf("%s: got %q", tt.simulate, got)
			}
			continue
		}
		if got == plain || tt.undo(got) != plain {
			t.Errorf("%s: got %q", tt.simulate, got)
		}
	}
}

// unzipped returns what s holds, or what is wrong with it.
func unzipped(s string) string {
	r, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		return err.Error()
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return err.Error()
	}
	return string(plain)
}

func TestGzipOfJSON(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	plain := p.whole(p.post("/v1/chat/completions", chatBody, ""))
	a := p.post("/v1/chat/completions", chatBody, "gzip")
	if got := unzipped(p.whole(a)); got != plain || a.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("got %q as %q, want %q", got, a.Header.Get("Content-Encoding"), plain)
	}
}

func TestTrailers(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, body := range []string{chatBody, chatStream} {
		a := p.post("/v1/chat/completions", body, "trailers")
		sum := sha256.Sum256([]byte(p.whole(a)))
		if got, want := a.Trailer.Get("X-Sim-Sha256"), hex.EncodeToString(sum[:]); got != want {
			t.Errorf("X-Sim-Sha256 is %q, want %q", got, want)
		}
		if got, want := a.Trailer.Get("X-Sim-Bytes"), strconv.Itoa(len(a.body)); got != want {
			t.Errorf("X-Sim-Bytes is %q, want %q", got, want)
		}
	}
}

// pieces is a ResponseWriter that notes what leaves with each flush.
type pieces struct {
	header  http.Header
	pending bytes.Buffer
	flushed []string
}

func (p *pieces) Header() http.Header         { return p.header }
func (p *pieces) WriteHeader(int)             {}
func (p *pieces) Write(b []byte) (int, error) { return p.pending.Write(b) }
func (p *pieces) Flush()                      { p.FlushError() }
func (p *pieces) FlushError() error {
	p.flushed = append(p.flushed, p.pending.String())
	p.pending.Reset()
	return nil
}

func flushes(simulate string) []string {
	w := &pieces{header: http.Header{}}
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(chatStream))
	r.Header.Set("X-Simulate", simulate)
	simulator.New(simulator.Options{}).ServeHTTP(w, r)
	// The first flush is that of the header.
	return append(w.flushed[1:], w.pending.String())
}

func TestPieces(t *testing.T) {
	t.Parallel()
	events := flushes("")
	whole := strings.Join(events, "")
	if last := events[len(events)-1]; last != "" {
		t.Errorf("%q was never flushed", last)
	}
	if want := strings.SplitAfter(whole, "\n\n"); !slices.Equal(events, want) {
		t.Errorf("flushed %q, want an event a flush: %q", events, want)
	}
	got := flushes("piece")
	got = slices.DeleteFunc(got, func(piece string) bool { return piece == "" })
	if want := strings.Split(whole, ""); !slices.Equal(got, want) {
		t.Errorf("flushed %q, want a byte a flush", got)
	}
	for _, piece := range flushes("piece=100") {
		if len(piece) > 100 {
			t.Errorf("a piece of %d bytes, want at most 100", len(piece))
		}
	}
}

func TestHugeEvent(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct{ path, body string }{
		{"/v1/chat/completions", chatStream},
		{"/v1/responses", responseStream},
	} {
		longest := 0
		lines := bufio.NewReader(strings.NewReader(p.whole(p.post(tt.path, tt.body, "huge"))))
		for {
			line, err := lines.ReadString('\n')
			if err == io.EOF {
				break
			}
			longest = max(longest, len(line))
		}
		if longest <= 3<<20 {
			t.Errorf("%s: the longest line has %d bytes, want more than 3 MiB", tt.path, longest)
		}
	}
}

func TestManyEvents(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	got := p.whole(p.post("/v1/chat/completions",
		`{"model":"gpt-5-mini","stream":true,"stream_options":{"include_usage":true},`+
			`"messages":[{"role":"user","content":"one two three"}]}`, "events=5000"))
	// The role, the text, the end, the usage, [DONE].
	if n := strings.Count(got, "\n\n"); n != 1+5000+1+1+1 {
		t.Errorf("%d events, want 5004", n)
	}
	if !strings.Contains(got, `"completion_tokens":5000,`) {
		t.Errorf("the usage does not say 5000 tokens: %q", got[len(got)-400:])
	}
}

func TestJSONBytes(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	const size = 5<<20 + 3
	for _, tt := range []struct{ path, body string }{
		{"/v1/chat/completions", chatBody},
		{"/v1/responses", responseBody},
		{"/v1/embeddings", `{"model":"text-embedding-3-small","input":"one"}`},
	} {
		plain := p.whole(p.post(tt.path, tt.body, ""))
		a := p.post(tt.path, tt.body, "json-bytes="+strconv.Itoa(size))
		got := p.whole(a)
		if len(got) != size || a.ContentLength != size {
			t.Errorf("%s: %d bytes, Content-Length %d, want %d", tt.path, len(got), a.ContentLength, size)
		}
		want := `{"padding":"` + strings.Repeat("x", size-len(plain)-len(`"padding":"",`)) + `",` + plain[1:]
		if got != want {
			t.Errorf("%s: got %.60q … %q", tt.path, got, got[len(got)-60:])
		}
	}
}
