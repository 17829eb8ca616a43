package floors

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unwanted is what no tracked file may hold: it is true of one machine or one day only.
var unwanted = []struct {
	what    string
	pattern *regexp.Regexp
}{
	// A path of a URL follows a host, so a path of a machine is one that follows
	// neither a word nor another path. What a system has everywhere (/usr, /etc) is fine.
	{"a path of one machine", regexp.MustCompile(`(?:^|[^\w./})\]*~-])/(?:work|root|home|tmp|Users)(?:/[\w.-]|["'\x60])`)},
	{"the host of a package registry", regexp.MustCompile(`(?i)\b(?:(?:proxy|sum)\.golang\.org|goproxy\.(?:io|cn)|registry\.(?:npmjs|yarnpkg)\.\w+|pypi\.org|pythonhosted\.org|(?:index|static)\.crates\.io|rubygems\.org|deb\.debian\.org|repo\.maven\.apache\.org)\b`)},
}

// quoting are the files that may hold what is unwanted: this one, because it says what
// that is.
var quoting = []string{"internal/floors/repository_test.go"}

func TestTrackedFilesSpeakOfTheProductAlone(t *testing.T) {
	t.Parallel()
	for _, name := range tracked(t) {
		if slices.Contains(quoting, name) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(name)))
		switch {
		case errors.Is(err, fs.ErrNotExist): // deleted, and not committed yet
			continue
		case err != nil:
			t.Fatal(err)
		}
		for _, fault := range findUnwanted(name, content) {
			t.Error(fault)
		}
	}
}

func TestUnwantedIsFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line string
		want string // "" if the line may stand
	}{
		{`open("/tmp/x")`, "a path of one machine"},
		{`cd /work/main`, "a path of one machine"},
		{`GOCACHE=/root/.cache`, "a path of one machine"},
		{`/home/me/llmproxy`, "a path of one machine"},
		{`dir := "/tmp"`, "a path of one machine"},
		{`https://example.com/home/page`, ""},
		{`http://host/root/v1`, ""},
		{`{base}/work/items`, ""},
		{`t.TempDir() + "/home"`, "a path of one machine"},
		{`../work/x`, ""},
		{`~/tmp/x`, ""},
		{`GET /v1/responses, /usr/local/go/bin`, ""},
		{`export GOPROXY=https://proxy.golang.org`, "the host of a package registry"},
		{`"resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz"`, "the host of a package registry"},
		{`see https://pkg.go.dev/net/http`, ""},
	} {
		got := findUnwanted("f", []byte("first\n"+tt.line+"\n"))
		var want []string
		if tt.want != "" {
			want = []string{"f:2: " + tt.want}
		}
		for i := range got {
			got[i], _, _ = strings.Cut(got[i], ", ")
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", tt.line, got, want)
		}
	}
}

// findUnwanted returns what is unwanted in content, one sentence each.
func findUnwanted(name string, content []byte) (faults []string) {
	if bytes.IndexByte(content, 0) >= 0 {
		return nil // not text
	}
	n := 0
	for line := range bytes.Lines(content) {
		n++
		for _, u := range unwanted {
			if found := u.pattern.Find(line); found != nil {
				faults = append(faults, fmt.Sprintf("%s:%d: %s, %q", name, n, u.what, bytes.TrimSpace(found)))
			}
		}
	}
	return faults
}

// tracked returns the files that git tracks, or, where there is no git, all files, by
// path below the root.
func tracked(t *testing.T) []string {
	t.Helper()
	// git's index, so that the test cache notices a change of what is tracked.
	if _, err := os.Stat(filepath.Join(repository, ".git", "index")); err != nil {
		return present(t)
	}
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	cmd.Dir = repository
	out, err := cmd.Output()
	if err != nil {
		t.Logf("git ls-files: %v; looking at all files instead", err)
		return present(t)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func present(t *testing.T) (names []string) {
	t.Helper()
	err := filepath.WalkDir(repository, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin"):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		rel, err := filepath.Rel(repository, name)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
