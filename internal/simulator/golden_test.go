package simulator_test

import (
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
	for _, name := range []string{"Content-Type", "X-Request-Id", "Location", "Retry-After", "Retry-After-Ms", "Allow"} {
		if value := a.Header.Get(name); value != "" {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	return b.String() + "\n" + a.body
}
