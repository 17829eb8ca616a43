package floors

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/gateway"
	"github.com/llmproxy/llmproxy/providers/openai"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// link finds the target of a Markdown link or image.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestDocumentationHolds(t *testing.T) {
	t.Parallel()
	for _, name := range tracked(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(name)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			t.Fatal(err)
		}
		for _, fault := range checkMarkdown(name, string(text), headings) {
			t.Error(fault)
		}
	}
}

func TestMarkdownFaultsAreFound(t *testing.T) {
	t.Parallel()
	const fence = "```"
	anchors := func(file string) ([]string, bool) {
		return []string{"floors"}, file == "docs/architecture.md" || file == "docs/a.md"
	}
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"[a](architecture.md) [b](architecture.md#floors) [c](#floors) [d](https://example.com/x#y)", nil},
		{"[a](gone.md)", []string{"docs/a.md:1: the link to gone.md leads nowhere"}},
		{"\n[a](architecture.md#roofs)", []string{"docs/a.md:2: architecture.md#roofs has no such heading"}},
		{fence + "\nx\n" + fence, []string{"docs/a.md:1: a fenced block without a language"}},
		{fence + "go\n// [a](gone.md)\n" + fence + "\n[a](#floors)", nil},
		{fence + "go\nx", []string{"docs/a.md:1: a fenced block without an end"}},
	} {
		if got := checkMarkdown("docs/a.md", tt.text, anchors); !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

// checkMarkdown returns what is wrong with text: fenced blocks without a language, and
// links to files or headings that are not there. anchors tells the headings of a file
// and whether it exists.
func checkMarkdown(name, text string, anchors func(file string) ([]string, bool)) (faults []string) {
	opened := 0 // the line of the block we are in
	for i, line := range strings.Split(text, "\n") {
		n := i + 1
		if language, ok := strings.CutPrefix(strings.TrimSpace(line), "```"); ok {
			switch {
			case opened > 0:
				opened = 0
			default:
				opened = n
				if language == "" {
					faults = append(faults, fmt.Sprintf("%s:%d: a fenced block without a language", name, n))
				}
			}
			continue
		}
		if opened > 0 {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(line, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, heading, _ := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			known, exists := anchors(target)
			switch {
			case !exists:
				faults = append(faults, fmt.Sprintf("%s:%d: the link to %s leads nowhere", name, n, m[1]))
			case heading != "" && !slices.Contains(known, heading):
				faults = append(faults, fmt.Sprintf("%s:%d: %s has no such heading", name, n, m[1]))
			}
		}
	}
	if opened > 0 {
		faults = append(faults, fmt.Sprintf("%s:%d: a fenced block without an end", name, opened))
	}
	return faults
}

// notInAnchor is what a heading loses on its way to an anchor.
var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}\s_-]`)

// headings returns the anchors of a Markdown file of the repository.
func headings(file string) (anchors []string, exists bool) {
	name := filepath.Join(repository, filepath.FromSlash(file))
	info, err := os.Stat(name)
	if err != nil {
		return nil, false
	}
	if info.IsDir() || path.Ext(file) != ".md" {
		return nil, true
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, false
	}
	for line := range strings.Lines(string(text)) {
		title := strings.TrimLeft(line, "#")
		if level := len(line) - len(title); level == 0 || level > 6 || !strings.HasPrefix(title, " ") {
			continue
		}
		title = notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
		anchors = append(anchors, strings.ReplaceAll(title, " ", "-"))
	}
	return anchors, true
}

// yamlBlock finds the fenced YAML blocks of a Markdown text.
var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

func TestConfigurationsOfTheDocumentationLoad(t *testing.T) {
	t.Parallel()
	found := 0
	for _, name := range tracked(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(name)))
		if err != nil {
			continue // TestDocumentationHolds says so
		}
		for _, block := range yamlBlock.FindAllSubmatch(text, -1) {
			found++
			file := filepath.Join(t.TempDir(), gateway.DefaultFile)
			if err := os.WriteFile(file, block[1], 0o600); err != nil {
				t.Fatal(err)
			}
			set := func(string) (string, bool) { return "value", true }
			c, err := gateway.Source{File: file, LookupEnv: set}.Load()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for _, w := range c.Warnings {
				t.Errorf("%s: %s", name, w.Message)
			}
		}
	}
	if found == 0 {
		t.Error("no documentation shows a configuration")
	}
}

func TestEveryKeyVariableIsDocumented(t *testing.T) {
	t.Parallel()
	const page = "docs/configuration.md"
	text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range openai_compatible.Presets() {
		for _, variable := range p.KeyEnv {
			if row := fmt.Sprintf("| `%s` | `%s` |", variable, p.Type); !strings.Contains(string(text), row) {
				t.Errorf("%s lacks the row %s", page, row)
			}
		}
	}
}

func TestEveryLookAlikeIsDocumented(t *testing.T) {
	t.Parallel()
	const page = "docs/providers.md"
	text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range openai_compatible.Presets() {
		variables, base, messages := "", "`"+p.BaseURL+p.APIPath+"`", ""
		if len(p.KeyEnv) > 0 {
			variables = "`" + strings.Join(p.KeyEnv, "`, `") + "` "
		}
		if path, ok := p.Paths[llmproxy.APIMessages]; ok {
			messages = "`" + path + "` "
		}
		row := fmt.Sprintf("| `%s` | %s| %s | %s|\n", p.Type, variables, base, messages)
		switch {
		case p.BaseURL == "": // the operator's own
			row = fmt.Sprintf("| `%s` |", p.Type)
		case p.Type == openai.Type: // is in another table
			row = fmt.Sprintf("| `%s` | %s| %s |", p.Type, variables, base)
		}
		if !strings.Contains(string(text), row) {
			t.Errorf("%s lacks the row %s", page, row)
		}
	}
}
