package llmproxy_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	abrotli "github.com/andybalholm/brotli"
	kzstd "github.com/klauspost/compress/zstd"

	"github.com/llmproxy/llmproxy"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}

// slowRecorder keeps records only when it is let.
type slowRecorder struct{ asked, go_ chan struct{} }

func (s *slowRecorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (s *slowRecorder) Record(context.Context, *llmproxy.Record) error {
	close(s.asked)
	<-s.go_
	return nil
}

// latest passes on what was written first.
type latest struct{ seen chan string }

func (l *latest) Write(p []byte) (int, error) {
	select {
	case l.seen <- string(p):
	default:
	}
	return len(p), nil
}

// compress codes text with one of the codings of the adapters.
func compress(t *testing.T, coding, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "zstd":
		enc, err := kzstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = enc
	case "br":
		w = abrotli.NewWriter(&b)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
