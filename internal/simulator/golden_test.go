package simulator_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

var update = flag.Bool("update", false, "rewrite the expected answers")

// TestStories holds the answers to the byte. A story is a request in the form of HTTP
// without header fields but those named, and the answer in the same form.
func TestStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("stories: %d, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			p := run(t, simulator.Options{APIKey: "sk-0123456789abcdef"})
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			story, want, found := strings.Cut(string(raw), "\n-- answer --\n")
			if !found && !*update {
				t.Fatal("no answer in the story")
			}
			got := tell(p, story)
			if *update {
				err := os.WriteFile(file, []byte(story+"\n-- answer --\n"+got), 0o644)
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			// The same request has the same answer.
			if again := tell(p, story); again != got {
				t.Errorf("the second answer is\n%s\nafter\n%s", again, got)
			}
		})
	}
}

// tell sends the request of a story and returns the answer.
func tell(p *provider, story string) string {
	p.t.Helper()
	_, story, _ = strings.Cut(story, "\n-- request --\n")
	head, body, _ := strings.Cut(story, "\n\n")
	lines := strings.Split(head, "\n")
	method, path, _ := strings.Cut(lines[0], " ")
	header := append(slices.Clone(lines[1:]), "Authorization: Bearer sk-0123456789abcdef")
	a := p.do(p.request(method, path, strings.TrimSuffix(body, "\n"), header...))
	if a.err != nil {
		p.t.Fatal(a.err)
	}
	var b strings.Builder
	b.WriteString(a.Status + "\n")
	for _, name := range []string{
		"Content-Type", "X-Request-Id", "Location", "Retry-After", "Retry-After-Ms", "Allow",
		"Request-Id", "Apim-Request-Id", "X-Debug-Trace-Id", "X-Amzn-Requestid", "X-Amzn-Errortype",
		"X-Amzn-Bedrock-Content-Type", "X-Amzn-Bedrock-Input-Token-Count", "X-Amzn-Bedrock-Output-Token-Count",
		"X-Amzn-Bedrock-Cache-Read-Input-Token-Count", "X-Amzn-Bedrock-Cache-Write-Input-Token-Count",
	} {
		if value := a.Header.Get(name); value != "" {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	if a.Header.Get("Content-Type") == "application/vnd.amazon.eventstream" {
		return b.String() + "\n" + readable(p.t, a.body)
	}
	// A story has no carriage returns.
	return b.String() + "\n" + strings.ReplaceAll(a.body, "\r", "\\r")
}

// readable returns an AWS event stream as text: of each frame its headers and its
// payload, that of a chunk without its base64.
func readable(t *testing.T, stream string) string {
	t.Helper()
	var b strings.Builder
	for _, f := range frames(t, stream) {
		for _, h := range f.headers {
			b.WriteString(h[0] + ": " + h[1] + "\n")
		}
		var chunk struct{ Bytes []byte }
		if err := json.Unmarshal([]byte(f.payload), &chunk); err == nil && chunk.Bytes != nil {
			b.WriteString("bytes: " + string(chunk.Bytes) + "\n")
		} else {
			b.WriteString(f.payload + "\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}
