package rig

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Recording is an exchange that a real provider had.
type Recording struct {
	ID       string
	Method   string
	Path     string // the provider's own, with its query
	Request  string // the body
	Status   int
	Headers  map[string]string
	Encoding string // of Response: utf8 or base64
	Response string
}

// Recordings returns those of a provider. They lie beside the repository; where they do
// not, the test is skipped.
func Recordings(t *testing.T, provider string) []Recording {
	t.Helper()
	name := filepath.Join("..", "..", "..", "shared", "recordings", provider+".jsonl")
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no recordings here: %s is missing", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var recordings []Recording
	decoder := json.NewDecoder(bufio.NewReader(file))
	for decoder.More() {
		var r Recording
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		recordings = append(recordings, r)
	}
	return recordings
}

// Is reports whether r was answered well at a path that has part in it.
func (r *Recording) Is(part string) bool {
	return r.Status == http.StatusOK && strings.Contains(r.Path, part)
}

// ServeHTTP answers any request as r was answered.
func (r *Recording) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	body := []byte(r.Response)
	if r.Encoding == "base64" {
		body, _ = base64.StdEncoding.DecodeString(r.Response) // what is not base64 will not be understood
	}
	for name, value := range r.Headers {
		switch http.CanonicalHeaderKey(name) {
		case "Content-Length", "Content-Encoding", "Transfer-Encoding":
		default:
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write(body)
}
