// Command generate makes the list of prices that is part of the program out of two that
// are published, which check each other.
//
// Both are npm packages; it reads what npm pack leaves behind:
//
//	npm pack @pydantic/genai-prices@0.1.8
//	npm pack @earendil-works/pi-ai@1.5.2
//	go run ./pricing/generate -genai pydantic-genai-prices-0.1.8.tgz \
//	    -models earendil-works-pi-ai-1.5.2.tgz -day 2026-11-25
//
// The second carries the figures of models.dev. Only figures and names of models are
// taken. Where the lists disagree, decisions.txt says which is right and why; what it
// does not decide is printed, and keeps the list from being written.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy/pricing"
)

//go:embed decisions.txt
var decisionText string

// maxPackage bounds an unpacked package: 256 MiB.
const maxPackage = 256 << 20

func main() {
	genai := flag.String("genai", "", "package of the first list, as npm pack leaves it")
	models := flag.String("models", "", "package of the second list")
	day := flag.String("day", "", "day of the list (2026-11-25): prices at its beginning are compared")
	out := flag.String("out", "pricing/prices.txt", "list to write")
	flag.Parse()
	if err := run(*genai, *models, *day, *out, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(genai, models, day, out string, log io.Writer) error {
	at, err := parseDay(day)
	if err != nil {
		return err
	}
	decided, err := parseDecisions(decisionText)
	if err != nil {
		return fmt.Errorf("decisions.txt: %w", err)
	}
	a, noteA, err := load(genai, "package/dist/index.js", genaiPrices)
	if err != nil {
		return err
	}
	b, noteB, err := load(models, "package/dist/providers/data/", modelPrices)
	if err != nil {
		return err
	}
	m := merger{at: at, decided: decided, log: log}
	list := m.merge(a, b)
	list.Source = "embedded"
	list.Version = day + "-" + list.Fingerprint()
	list.Notes = append([]string{
		"Prices in dollars per million tokens, or per call. Made by pricing/generate on " + day + " out of",
		"- " + noteA + ",",
		"- " + noteB + " (the figures of models.dev),",
		"and pricing/generate/decisions.txt. Do not edit.",
	}, m.counts()...)
	if m.undecided > 0 {
		return fmt.Errorf("%d disagreements are not decided", m.undecided)
	}
	if err := decided.used(); err != nil {
		return err
	}
	text := list.Text()
	if again, err := pricing.ParseList(text); err != nil || again.Text() != text {
		return errors.Join(errors.New("the list does not read back"), err)
	}
	return os.WriteFile(out, []byte(text), 0o644)
}

func parseDay(day string) (time.Time, error) {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return at, fmt.Errorf("-day: %w", err)
	}
	return at, nil
}

// load reads the files of a package below prefix, and says what the package is.
func load(file, prefix string, read func(files map[string][]byte) (*list, error)) (*list, string, error) {
	packed, err := os.ReadFile(file)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(packed)
	files, err := unpack(packed)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", file, err)
	}
	name, version, err := manifest(files["package/package.json"])
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", file, err)
	}
	wanted := map[string][]byte{}
	for f, b := range files {
		if strings.HasPrefix(f, prefix) {
			wanted[path.Base(f)] = b
		}
	}
	l, err := read(wanted)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", file, err)
	}
	return l, fmt.Sprintf("npm %s %s, sha256 %s", name, version, hex.EncodeToString(sum[:])[:16]), nil
}

func unpack(packed []byte) (map[string][]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for t := tar.NewReader(io.LimitReader(z, maxPackage)); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if files[h.Name], err = io.ReadAll(t); err != nil {
			return nil, err
		}
	}
}
