package floors

import (
	"go/scanner"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// goBlock finds the fenced Go blocks of a Markdown text.
var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```")

// Code that is shown is code that compiles: every Go block of the documentation is a part
// of a Go file, comments and white space aside. A line "// …" stands for what is left out.
// In a block that begins with "// from", what stands before "// to" is somebody else's.
func TestCodeOfTheDocumentationIsReal(t *testing.T) {
	t.Parallel()
	var sources []string
	for _, src := range goFiles(t) {
		sources = append(sources, strings.Join(tokens(string(src)), " "))
	}
	found := 0
	for _, name := range tracked(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(name)))
		if err != nil {
			continue // TestDocumentationHolds says so
		}
		for _, block := range goBlock.FindAllSubmatch(text, -1) {
			found++
			if code := ours(string(block[1])); !shownIn(sources, code) {
				t.Errorf("%s: no Go file has\n%s", name, code)
			}
		}
	}
	if found == 0 {
		t.Error("no documentation shows Go code")
	}
}

func TestCodeThatIsNotRealIsFound(t *testing.T) {
	t.Parallel()
	sources := []string{strings.Join(tokens("func f() {\n\ta() // says a\n\n\tb(1,\n\t\t2)\n\tc()\n}\n"), " ")}
	for _, tt := range []struct {
		block string
		want  bool
	}{
		{"a()\nb(1, 2)\n", true},
		{"// says b\nb(1, 2)\n", true},
		{"a()\n// …\nc()\n", true},
		{"a()\nc()\n", false},
		{"c()\n// …\na()\n", false},
		{"d()\n", false},
		{"// from\nd()\n\n// to\na()\n", true},
		{"// from\na()\n\n// to\nd()\n", false},
		{"// nothing\n", false},
	} {
		if got := shownIn(sources, ours(tt.block)); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.block, got, tt.want)
		}
	}
}

// ours returns the part of a block that is our own code.
func ours(block string) string {
	if strings.HasPrefix(block, "// from\n") {
		_, block, _ = strings.Cut(block, "\n// to\n")
	}
	return block
}

// shownIn reports whether one of sources has all parts of code, in order.
func shownIn(sources []string, code string) bool {
	var parts []string
	for part := range strings.SplitSeq(code, "// …\n") {
		parts = append(parts, strings.Join(tokens(part), " "))
	}
	for _, source := range sources {
		if hasAll(source, parts) {
			return true
		}
	}
	return false
}

func hasAll(source string, parts []string) bool {
	for _, part := range parts {
		i := strings.Index(source, part)
		if part == "" || i < 0 {
			return false
		}
		source = source[i+len(part):]
	}
	return true
}

// tokens returns the tokens of Go code without comments, and without the commas and
// semicolons that depend on where its lines end.
func tokens(src string) (words []string) {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(src))
	s.Init(file, []byte(src), func(token.Position, string) {}, 0)
	for {
		_, tok, literal := s.Scan()
		switch {
		case tok == token.EOF:
			return words
		case tok == token.SEMICOLON, tok == token.COMMA:
		case literal != "":
			words = append(words, literal)
		default:
			words = append(words, tok.String())
		}
	}
}
