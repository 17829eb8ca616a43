package gateway

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// A demo whose gateway does not do what it should says so, and ends.
func TestDemoFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		provider http.HandlerFunc
		want     string
	}{
		{
			"an error", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "broken", http.StatusInternalServerError) },
			"POST /v1/chat/completions: 500 Internal Server Error: broken\n",
		},
		{
			"no usage", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"id":"chatcmpl-1","object":"chat.completion","model":"m","choices":[]}`)
			},
			"POST /v1/chat/completions: the source of the usage is none, want provider",
		},
		{
			"a stream where none was asked for", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, firstEvent+lastEvents)
			},
			"POST /v1/chat/completions: 200 OK, but the answer is not of the kind that was asked for",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr buffer
			d := Demo{Listen: "127.0.0.1:0", Provider: tt.provider, Key: "k", Stdout: &stdout, Stderr: &stderr}
			err := d.Run(t.Context(), make(chan struct{}))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s…", err, tt.want)
			}
			if strings.Contains(stdout.String(), "Serving") {
				t.Errorf("it serves all the same:\n%s", &stdout)
			}
		})
	}
}

// A signal ends the demo at any time, in good order.
func TestDemoEnds(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	provider := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		end()
		_, _ = io.WriteString(w, answer)
	})
	var stdout, stderr buffer
	d := Demo{Listen: "127.0.0.1:0", Provider: provider, Stdout: &stdout, Stderr: &stderr}
	if err := d.Run(t.Context(), stop); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestDemoListen(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct{ listen, want string }{
		{"nonsense", `--listen: "nonsense" is no address: write host:port, such as 127.0.0.1:8080, or unix:/path`},
		{l.Addr().String(), "listen on " + l.Addr().String() + ": address already in use; choose another with --listen"},
	} {
		if err := (Demo{Listen: tt.listen}).Run(t.Context(), nil); err == nil || err.Error() != tt.want {
			t.Errorf("--listen %s: got %v, want %s", tt.listen, err, tt.want)
		}
	}
}
