package wire_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy/wire"
)

// Real requests and answers read as two slower readers say.
func TestRecordings(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../shared/recordings/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the recorded exchanges are not here")
	}
	bodies, streams := 0, 0
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for lines := bufio.NewReader(f); ; {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				break
			}
			var x struct {
				ID, Request, Encoding, Response string
				Headers                         map[string]string
			}
			if err := json.Unmarshal(line, &x); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			response := []byte(x.Response)
			if x.Encoding == "base64" {
				if response, err = base64.StdEncoding.DecodeString(x.Response); err != nil {
					t.Fatalf("%s: %v", x.ID, err)
				}
			}
			for _, body := range [][]byte{line, []byte(x.Request), response} {
				values, valid := reference(body)
				spans := make([]wire.Span, 2)
				_, err := wire.NewNames("model", "usage").Scan(body, spans)
				if (err == nil) != valid {
					t.Errorf("%s: Scan: %v, valid = %v", x.ID, err, valid)
				}
				if !valid {
					continue
				}
				bodies++
				for i, name := range []string{"model", "usage"} {
					if want := strings.Join(values[name], ""); string(spans[i].Of(body)) != want {
						t.Errorf("%s: %s is %q, want %q", x.ID, name, spans[i].Of(body), want)
					}
				}
				if diff := cmp.Diff(members(body), collectMembers(body)); diff != "" {
					t.Errorf("%s: Members (-want +got):\n%s", x.ID, diff)
				}
			}
			if !strings.HasPrefix(x.Headers["content-type"], "text/event-stream") {
				continue
			}
			want, _ := plain(x.Response, 0)
			if len(want) == 0 {
				t.Errorf("%s: no events", x.ID)
			}
			streams += len(want)
			for _, size := range []int{len(response), 1400, 7, 1} {
				writes := slices.Collect(slices.Chunk(response, max(size, 1)))
				if got, _ := parse(0, writes...); !slices.Equal(got, want) {
					t.Errorf("%s in writes of %d: events (-want +got):\n%s", x.ID, size, cmp.Diff(want, got))
				}
				if whole, last := split(writes...); strings.Join(whole, "")+last != x.Response {
					t.Errorf("%s in writes of %d: the events are not the stream", x.ID, size)
				}
			}
		}
	}
	t.Logf("%d JSON bodies, %d events", bodies, streams)
	if bodies == 0 || streams == 0 {
		t.Error("the recordings hold nothing to read")
	}
}
