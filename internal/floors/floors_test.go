package floors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// repository is the module's root, seen from this package.
const repository = "../.."

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	files := goFiles(t)
	if len(files) == 0 {
		t.Fatal("go list names no file")
	}
	for _, fault := range check(files) {
		t.Error(fault)
	}
}

// The rules are about direct imports. This is the promise they are made for, taken
// from the toolchain: what a program links that imports only the root.
func TestRootLinksStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t, "-deps", ".") {
		if !p.Standard && p.ImportPath != module && !strings.HasPrefix(p.ImportPath, module+"/") {
			t.Errorf("who imports %s gets %s as well", module, p.ImportPath)
		}
	}
}

func TestEachRuleCatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file, src string
		want            []string
	}{
		{"down", "providers/acme/acme.go", `package acme; import ("net/http"; "` + module + `/wire"; "` + module + `")`, nil},
		{
			"up", "wire/sse.go", `package wire; import "` + module + `"`,
			[]string{"wire/sse.go: wire (floor 0) imports . (floor 1): up"},
		},
		{
			"up to a program", "internal/gateway/run.go", `package gateway; import "` + module + `/cmd/llmproxy"`,
			[]string{"internal/gateway/run.go: internal/gateway (floor 5) imports cmd/llmproxy (floor 6): up"},
		},
		{
			"up, on another system only", "dialect/frame_windows.go", `package dialect; import "` + module + `/dialect/chat"`,
			[]string{"dialect/frame_windows.go: dialect (floor 2) imports dialect/chat (floor 3): up"},
		},
		{
			"sideways", "dialect/completions/usage.go", `package completions; import "` + module + `/dialect/chat"`,
			[]string{"dialect/completions/usage.go: dialect/completions imports dialect/chat: sideways on floor 3"},
		},
		{"sideways, with a reason", "providers/openai/openai.go", `package openai; import "` + module + `/providers/openai_compatible"`, nil},
		{
			"sideways, the other way round", "providers/openai_compatible/presets.go", `package openai_compatible; import "` + module + `/providers/openai"`,
			[]string{"providers/openai_compatible/presets.go: providers/openai_compatible imports providers/openai: sideways on floor 4"},
		},
		{"shared by one floor's neighbours", "adapter/zstd/zstd.go", `package zstd; import "` + module + `/adapter/internal/pooled"`, nil},
		{
			"shared by others", "providers/openai/x.go", `package openai; import "` + module + `/adapter/internal/pooled"`,
			[]string{"providers/openai/x.go: providers/openai imports adapter/internal/pooled: sideways on floor 4"},
		},
		{"below itself", "ledger/ledgertest/run.go", `package ledgertest; import "` + module + `/ledger"`, nil},
		{
			"same beginning of a name", "providers/openai/x.go", `package openai; import "` + module + `/providers/openaix"`,
			[]string{"providers/openai/x.go: providers/openai imports providers/openaix: sideways on floor 4"},
		},
		{
			"a folder without a place", "internal/util/slices.go", `package util`,
			[]string{
				"internal/util/slices.go: internal/util is on no floor",
				"internal/util/slices.go: the name util does not say what is inside",
			},
		},
		{
			"a nameless folder with a place", "internal/gateway/helpers/x.go", `package helpers`,
			[]string{"internal/gateway/helpers/x.go: the name helpers does not say what is inside"},
		},
		{
			"an import of a folder without a place", "interceptors/retry.go", `package interceptors; import "` + module + `/backoff"`,
			[]string{"interceptors/retry.go: imports backoff, which is on no floor"},
		},
		{
			"a library in the root", "autorouter.go", `package llmproxy; import "` + jsonModule + `"`,
			[]string{"autorouter.go: . (floor 1) may not import " + jsonModule},
		},
		{"JSON in a dialect", "dialect/chat/usage.go", `package chat; import "` + jsonModule + `/jsontext"`, nil},
		{
			"a library in a dialect", "dialect/chat/usage.go", `package chat; import "github.com/tidwall/gjson"`,
			[]string{"dialect/chat/usage.go: dialect/chat (floor 3) may not import github.com/tidwall/gjson"},
		},
		{
			"a WebSocket library in the root", "websocket.go", `package llmproxy; import "github.com/coder/websocket"`,
			[]string{"websocket.go: . (floor 1) imports a WebSocket library, github.com/coder/websocket"},
		},
		{
			"a WebSocket library in a test of the root", "websocket_test.go", `package llmproxy_test; import "github.com/gorilla/websocket"`,
			[]string{"websocket_test.go: . (floor 1) imports a WebSocket library, github.com/gorilla/websocket"},
		},
		{"a library where it belongs", "adapter/zstd/zstd.go", `package zstd; import "github.com/klauspost/compress/zstd"`, nil},
		{
			"a library that belongs elsewhere", "adapter/brotli/brotli.go", `package brotli; import "github.com/klauspost/compress/zstd"`,
			[]string{"adapter/brotli/brotli.go: adapter/brotli (floor 4) may not import github.com/klauspost/compress/zstd"},
		},
		{
			"a module whose name begins alike", "cmd/llmproxy/main.go", `package main; import "github.com/alecthomas/kongplus"`,
			[]string{"cmd/llmproxy/main.go: cmd/llmproxy (floor 6) may not import github.com/alecthomas/kongplus"},
		},
		{"a test library in a test", "wire/sse_test.go", `package wire; import "github.com/google/go-cmp/cmp"`, nil},
		{"a test library in a package for tests", "dialect/dialecttest/run.go", `package dialecttest; import "github.com/google/go-cmp/cmp"`, nil},
		{
			"a package for tests in the code", "providers/openai/x.go", `package openai; import "` + module + `/dialect/dialecttest"`,
			[]string{"providers/openai/x.go: imports dialect/dialecttest, which is for tests"},
		},
		{"a test from above", "pipeline_test.go", `package llmproxy_test; import "` + module + `/internal/simulator"`, nil},
		{
			"a test library in the code", "wire/sse.go", `package wire; import "github.com/google/go-cmp/cmp"`,
			[]string{"wire/sse.go: wire (floor 0) may not import github.com/google/go-cmp/cmp"},
		},
		{
			"another library in a test", "wire/sse_test.go", `package wire; import "github.com/stretchr/testify/assert"`,
			[]string{"wire/sse_test.go: wire (floor 0) may not import github.com/stretchr/testify/assert"},
		},
		{
			"internal in an example", "examples/embed/main.go", `package main; import "` + module + `/internal/gateway"`,
			[]string{"examples/embed/main.go: an example imports internal/gateway, which its readers cannot"},
		},
		{
			"init", "providers/acme/acme.go", "package acme\n\nfunc init() {}",
			[]string{"providers/acme/acme.go:3: an init function"},
		},
		{"a method called init", "providers/acme/acme.go", "package acme\n\ntype T int\n\nfunc (T) init() {}", nil},
		{
			"init in a test", "providers/acme/acme_test.go", "package acme\n\nfunc init() {}",
			[]string{"providers/acme/acme_test.go:3: an init function"},
		},
		{
			"a blank import", "internal/gateway/catalog.go", `package gateway; import _ "` + module + `/providers/openai"`,
			[]string{"internal/gateway/catalog.go: a blank import of " + module + "/providers/openai"},
		},
		{"the blank import that a directive needs", "internal/dashboard/static.go", `package dashboard; import _ "embed"`, nil},
		{
			"a dot import", "wire/sse_test.go", `package wire_test; import . "` + module + `/wire"`,
			[]string{"wire/sse_test.go: a dot import of " + module + "/wire"},
		},
		{
			"cgo", "wire/simd.go", `package wire; import "C"`,
			[]string{"wire/simd.go: cgo"},
		},
	} {
		got := check(map[string][]byte{tt.file: []byte(tt.src)})
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got\n\t%s\nwant\n\t%s", tt.name, strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
		}
	}
}

// check returns what is wrong with files, Go sources by their path below the module's
// root, one sentence each.
func check(files map[string][]byte) []string {
	var faults []string
	for _, name := range sortedKeys(files) {
		faults = append(faults, checkFile(name, files[name])...)
	}
	return faults
}

func checkFile(name string, src []byte) (faults []string) {
	add := func(format string, args ...any) {
		faults = append(faults, name+fmt.Sprintf(format, args...))
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		add(": %v", err)
		return faults
	}
	folder := path.Dir(name)
	level, ok := levelOf(folder)
	if !ok {
		add(": %s is on no floor", folder)
	}
	if n := strings.TrimSuffix(file.Name.Name, "_test"); slices.Contains(nameless, n) {
		add(": the name %s does not say what is inside", n)
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			add(": %v", err)
			continue
		}
		if spec.Name != nil && spec.Name.Name == "_" && imported != "embed" {
			add(": a blank import of %s", imported)
		}
		if spec.Name != nil && spec.Name.Name == "." {
			add(": a dot import of %s", imported)
		}
		if ok {
			for _, fault := range checkImport(folder, level, imported, strings.HasSuffix(name, "_test.go")) {
				add(": %s", fault)
			}
		}
	}
	for _, decl := range file.Decls {
		if f, isFunc := decl.(*ast.FuncDecl); isFunc && f.Recv == nil && f.Name.Name == "init" {
			add(":%d: an init function", fset.Position(f.Pos()).Line)
		}
	}
	return faults
}

// checkImport judges the import of imported by folder, which is on level.
func checkImport(folder string, level int, imported string, test bool) []string {
	switch own, isOwn := ownFolder(imported); {
	case imported == "C":
		return []string{"cgo"}
	case isOwn:
		return checkOwn(folder, level, own, test)
	case isStandard(imported):
		return nil
	case level <= 1 && matchesModule(webSocket, imported):
		return []string{fmt.Sprintf("%s (floor %d) imports a WebSocket library, %s", folder, level, imported)}
	case allowed(folder, level, imported, test):
		return nil
	default:
		return []string{fmt.Sprintf("%s (floor %d) may not import %s", folder, level, imported)}
	}
}

// checkOwn judges an import within the module. Tests may import from above: Go itself
// refuses a cycle, and an external test of the root needs providers to talk to.
func checkOwn(folder string, level int, own string, test bool) []string {
	below, ok := levelOf(own)
	switch {
	case !ok:
		return []string{fmt.Sprintf("imports %s, which is on no floor", own)}
	case test:
		return nil
	case isTestSupport(own) && !isTestSupport(folder):
		return []string{fmt.Sprintf("imports %s, which is for tests", own)}
	case strings.HasPrefix(folder, "examples/") && strings.HasPrefix(own, "internal/"):
		return []string{fmt.Sprintf("an example imports %s, which its readers cannot", own)}
	case below > level:
		return []string{fmt.Sprintf("%s (floor %d) imports %s (floor %d): up", folder, level, own, below)}
	case below < level, isBelow(own, folder), isBelow(folder, own):
		return nil
	}
	if owner, _, shared := strings.Cut(own, "/internal/"); shared && isBelow(folder, owner) {
		return nil // adapter/internal/… is there for adapter/…, and Go keeps others out
	}
	for _, s := range sideways {
		if s.from == folder && s.to == own {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s imports %s: sideways on floor %d", folder, own, level)}
}

func allowed(folder string, level int, imported string, test bool) bool {
	if (test || isTestSupport(folder)) && matchesModule(testOnly, imported) {
		return true
	}
	if level >= 2 && matchesModule([]string{jsonModule}, imported) {
		return true
	}
	if level < 4 {
		return false
	}
	for _, o := range outside {
		if matchesFolder(o.folder, folder) && matchesModule([]string{o.module}, imported) {
			return true
		}
	}
	return false
}

// isTestSupport reports whether folder holds what several packages' tests share, as
// ledger/ledgertest does.
func isTestSupport(folder string) bool {
	return path.Base(folder) == path.Base(path.Dir(folder))+"test"
}

// levelOf returns the level of folder; ok is false when it has none.
func levelOf(folder string) (level int, ok bool) {
	for _, f := range building {
		for _, pattern := range f.folders {
			if matchesFolder(pattern, folder) {
				return f.level, true
			}
		}
	}
	return 0, false
}

// matchesFolder reports whether folder fits pattern, as type floor describes it.
func matchesFolder(pattern, folder string) bool {
	pattern, deep := strings.CutSuffix(pattern, "/...")
	want, got := strings.Split(pattern, "/"), strings.Split(folder, "/")
	if len(got) < len(want) || len(got) > len(want) && !deep {
		return false
	}
	for i := range want {
		if want[i] != "*" && want[i] != got[i] {
			return false
		}
	}
	return true
}

// matchesModule reports whether imported is a package of one of modules.
func matchesModule(modules []string, imported string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return isBelow(imported, m) })
}

// isBelow reports whether inner is outer or a path below it.
func isBelow(inner, outer string) bool {
	return inner == outer || strings.HasPrefix(inner, outer+"/")
}

// ownFolder returns the folder of a package of this module.
func ownFolder(imported string) (folder string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// isStandard reports whether imported is of the standard library, whose paths have no
// dot in their first element.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// listed is what we read of go list's answer.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
}

func goList(t *testing.T, args ...string) (packages []listed) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Dir,Standard"}, args...)...)
	cmd.Dir = repository
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
	return packages
}

// goFiles returns every Go source of the module's packages, those of other systems and
// of tests included, by path below the root.
func goFiles(t *testing.T) map[string][]byte {
	t.Helper()
	watchFolders(t)
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, p := range goList(t, "./...") {
		entries, err := os.ReadDir(p.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() || filepath.Ext(e.Name()) != ".go" {
				continue
			}
			name := filepath.Join(p.Dir, e.Name())
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.ToSlash(rel)] = src
		}
	}
	return files
}

// watchFolders opens every folder of the repository, so that the go command's test
// cache knows that a new one makes an old result worthless: it does not see what a
// child process has read.
func watchFolders(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(repository, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // another test's, gone meanwhile
			return nil
		case err == nil && d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
