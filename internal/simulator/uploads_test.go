package simulator_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// form returns a multipart body with file in it, and its content type.
func form(t *testing.T, file []byte, values ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", "speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	part.Write(file)
	for i := 0; i < len(values); i += 2 {
		if err := w.WriteField(values[i], values[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestTranscription(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	file := bytes.Repeat([]byte{1, 2, 3}, 10000)
	for _, tt := range []struct{ model, usage string }{
		{"whisper-1", `{"type":"duration","seconds":2}`},
		{"gpt-4o-transcribe", `{"type":"tokens","input_tokens":22,` +
			`"input_token_details":{"audio_tokens":20,"text_tokens":2},"output_tokens":5,"total_tokens":27}`},
	} {
		body, kind := form(t, file, "model", tt.model, "prompt", "a word")
		got := p.whole(p.do(p.request(http.MethodPost, "/v1/audio/transcriptions", body, "Content-Type: "+kind)))
		want := `{"text":"Heard 30000 bytes of speech.wav.","bytes":30000,"sha256":"` + sha(file) + `","usage":` + tt.usage + `}`
		if got != want {
			t.Errorf("%s: got %s, want %s", tt.model, got, want)
		}
	}
}

// TestUploadFlows holds that the file is read as it comes: half of it is there before
// the rest has been sent.
func TestUploadFlows(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	file := make([]byte, 3<<20)
	for i := range file {
		file[i] = byte(i >> 8)
	}
	body, kind := form(t, file, "purpose", "assistants")
	half := len(body) / 2
	in, out := io.Pipe()
	r := p.request(http.MethodPost, "/v1/files", "", "Content-Type: "+kind)
	r.Body, r.ContentLength = in, -1
	answered := make(chan answer, 1)
	go func() {
		res, err := p.server.Client().Do(r)
		if err != nil {
			t.Error(err)
			answered <- answer{}
			return
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		answered <- answer{res, string(raw), err}
	}()
	if _, err := io.WriteString(out, body[:half]); err != nil {
		t.Fatal(err)
	}
	requests, err := p.Await(t.Context(), func(rs []simulator.Request) bool {
		return len(rs) == 1 && rs[0].Size == int64(half)
	})
	if err != nil || requests[0].BodyRead || requests[0].Finished {
		t.Fatalf("half way: %+v, %v", requests, err)
	}
	if _, err := io.WriteString(out, body[half:]); err != nil {
		t.Fatal(err)
	}
	out.Close()
	a := <-answered
	var object struct {
		Bytes  int
		SHA256 string
	}
	if err := json.Unmarshal([]byte(a.body), &object); err != nil || object.Bytes != len(file) || object.SHA256 != sha(file) {
		t.Errorf("got %s, %v; want %d bytes, %s", a.body, err, len(file), sha(file))
	}
	if got := p.Requests()[0].SHA256; got != sha([]byte(body)) {
		t.Errorf("the body was recorded as %s, want %s", got, sha([]byte(body)))
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, size := range []int{0, 1, 1 << 20, 1<<20 + 1} {
		file := bytes.Repeat([]byte("\x00\xff\n"), size)[:size]
		body, kind := form(t, file, "purpose", "batch")
		object := p.whole(p.do(p.request(http.MethodPost, "/v1/files", body, "Content-Type: "+kind)))
		var f struct{ ID string }
		if err := json.Unmarshal([]byte(object), &f); err != nil {
			t.Fatal(err)
		}
		if got := p.whole(p.get("/v1/files/" + f.ID)); got != object {
			t.Errorf("retrieved %s, want %s", got, object)
		}
		a := p.get("/v1/files/" + f.ID + "/content")
		switch {
		case size > 1<<20:
			if a.StatusCode != http.StatusNotFound {
				t.Errorf("%d bytes: status %d, want 404: they are not kept", size, a.StatusCode)
			}
		case p.whole(a) != string(file):
			t.Errorf("%d bytes: other content", size)
		}
	}
	if n := strings.Count(p.whole(p.get("/v1/files")), `"id":"file-`); n != 4 {
		t.Errorf("%d files listed, want 4", n)
	}
	if a := p.get("/v1/files/file-none/content"); a.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown file: %d, want 404", a.StatusCode)
	}
}

func TestMadeFile(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	const size = 1<<20 + 1
	want, err := io.ReadAll(simulator.MadeFile(size))
	if err != nil || len(want) != size || want[250] != 250 || want[251] != 0 {
		t.Fatalf("%d bytes, %v", len(want), err)
	}
	a := p.get("/v1/files/file-made-" + strconv.Itoa(size) + "/content")
	if p.whole(a) != string(want) || a.ContentLength != size || a.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d bytes of %s", len(a.body), a.Header.Get("Content-Type"))
	}
}

func TestRefusedUploads(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{MaxUpload: 2000})
	good, kind := form(t, []byte("x"), "purpose", "batch", "model", "whisper-1")
	large, largeKind := form(t, make([]byte, 2000), "purpose", "batch")
	noFields, noFieldsKind := form(t, []byte("x"))
	for _, tt := range []struct {
		path, body, kind string
		status           int
		code             string
	}{
		{"/v1/files", good, kind, 200, `"object":"file"`},
		{"/v1/files", good, "application/json", 400, "multipart/form-data"},
		{"/v1/files", good, "multipart/form-data", 400, "boundary"},
		{"/v1/files", good[:len(good)-20], kind, 400, "broken"},
		{"/v1/files", large, largeKind, 413, "larger than 2000"},
		{"/v1/files", noFields, noFieldsKind, 400, `"param":"purpose"`},
		{"/v1/audio/transcriptions", noFields, noFieldsKind, 400, `"param":"model"`},
		{"/v1/audio/transcriptions", "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n", "multipart/form-data; boundary=b", 400, `"param":"file"`},
	} {
		a := p.do(p.request(http.MethodPost, tt.path, tt.body, "Content-Type: "+tt.kind))
		if a.StatusCode != tt.status || !strings.Contains(a.body, tt.code) {
			t.Errorf("%s %s: got %d %s, want %d with %s", tt.path, tt.kind, a.StatusCode, a.body, tt.status, tt.code)
		}
	}
}

// TestEarly holds that a refusal can come before the body, whose rest never comes.
func TestEarly(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	in, out := io.Pipe()
	defer out.Close()
	r := p.request(http.MethodPost, "/v1/files", "", "X-Simulate: early,status=429")
	r.Body, r.ContentLength = in, -1
	res, err := p.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("got %d, want 429", res.StatusCode)
	}
	if got := p.Requests()[0]; got.Size != 0 || got.BodyRead {
		t.Errorf("%d bytes read, end %v; want none", got.Size, got.BodyRead)
	}
}

func ExampleMadeFile() {
	raw, err := io.ReadAll(simulator.MadeFile(4))
	fmt.Println(raw, err)
	// Output: [0 1 2 3] <nil>
}
