// Package dialecttest holds every reader of answers to the same promises: what it reads
// does not depend on how the answer was cut, and what it returns is consistent.
package dialecttest

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// Read feeds answer, a stream of server-sent events or else a whole body, to new readers
// and returns what one of them knows at the end. It fails the test when that depends on
// where the stream is cut or is not consistent and not marked so.
func Read(t testing.TB, newReader func() llmproxy.ResponseExtractor, answer string) (m llmproxy.ResponseMetadata, done bool) {
	t.Helper()
	x := newReader()
	if !IsStream(answer) {
		x.Frame(wire.Frame{Data: []byte(answer)})
	} else {
		Write(x, answer, len(answer))
		for _, size := range []int{1, 7, 1021} {
			other := newReader()
			Write(other, answer, size)
			if got, want := other.Metadata(), x.Metadata(); !reflect.DeepEqual(got, want) {
				t.Errorf("in pieces of %d bytes: got %+v, whole %+v", size, got, want)
			}
			if x.Done() != other.Done() {
				t.Errorf("in pieces of %d bytes: done is %v, whole it is %v", size, other.Done(), x.Done())
			}
		}
	}
	m = x.Metadata()
	if !m.Usage.Consistent() && !m.Inconsistent {
		t.Errorf("usage is not consistent: %+v", m.Usage)
	}
	return m, x.Done()
}

// Write feeds stream to x in pieces of size bytes.
func Write(x wire.Sink, stream string, size int) {
	sse := wire.NewSSE(x, 0)
	for stream != "" {
		n := min(max(size, 1), len(stream))
		_, _ = sse.Write([]byte(stream[:n])) // never fails
		stream = stream[n:]
	}
}

// ReadEventStream reads a recorded AWS event stream, in base64, whole and in pieces of several
// sizes, which must not make a difference.
func ReadEventStream(t testing.TB, newReader func() llmproxy.ResponseExtractor, encoded string) (m llmproxy.ResponseMetadata, done bool) {
	t.Helper()
	stream, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	x := newReader()
	_, _ = wire.NewEventStream(x, 0).Write(stream)
	for _, size := range []int{1, 7, 1021} {
		other := newReader()
		s := wire.NewEventStream(other, 0)
		for piece := range slices.Chunk(stream, size) {
			if other.Done() {
				t.Error("done before the end")
			}
			_, _ = s.Write(piece)
		}
		if !reflect.DeepEqual(other.Metadata(), x.Metadata()) || !s.Whole() {
			t.Errorf("in pieces of %d bytes: got %+v, whole %+v", size, other.Metadata(), x.Metadata())
		}
	}
	return x.Metadata(), x.Done()
}

// IsStream reports whether answer looks like server-sent events.
func IsStream(answer string) bool {
	answer = strings.TrimSpace(answer)
	for _, prefix := range []string{"data:", "event:", ":"} {
		if strings.HasPrefix(answer, prefix) {
			return true
		}
	}
	return false
}

// Recording is a recorded exchange with a provider.
type Recording struct {
	ID, Path, Response string
	Status             int
	Want               Opinion
}

// Opinion is what an independent library reads out of the same answer.
type Opinion struct {
	Usage map[string]int64 // nil where it has no opinion
	Model string           // "" where it has none
}

// Recordings calls f with every recording of a provider, or skips the test where there
// are none. root is the path of the repository's root.
func Recordings(t *testing.T, root, provider string, f func(r Recording)) {
	t.Helper()
	opinions := map[string]Opinion{}
	lines(t, filepath.Join(root, "../shared/recordings-expected.jsonl"), func(line []byte) error {
		var o struct {
			ID string
			Opinion
		}
		err := json.Unmarshal(line, &o)
		opinions[o.ID] = o.Opinion
		return err
	})
	lines(t, filepath.Join(root, "../shared/recordings", provider+".jsonl"), func(line []byte) error {
		var r Recording
		err := json.Unmarshal(line, &r)
		r.Want = opinions[r.ID]
		f(r)
		return err
	})
}

func lines(t *testing.T, name string, f func(line []byte) error) {
	t.Helper()
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no recordings beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := bufio.NewScanner(file)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		if err := f(s.Bytes()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
}

// counts are the fields of an opinion in terms of usage.
var counts = map[string]func(u llmproxy.Usage) int64{
	"input_tokens":            func(u llmproxy.Usage) int64 { return u.PromptTokens },
	"output_tokens":           func(u llmproxy.Usage) int64 { return u.CompletionTokens },
	"cache_read_tokens":       func(u llmproxy.Usage) int64 { return int64(u.Cache().CachedTokens) },
	"cache_write_tokens":      func(u llmproxy.Usage) int64 { return int64(u.Cache().CacheCreationTokens) },
	"cache_write_5m_tokens":   func(u llmproxy.Usage) int64 { return u.CacheWrite5m },
	"cache_write_1h_tokens":   func(u llmproxy.Usage) int64 { return u.CacheWrite1h },
	"output_reasoning_tokens": func(u llmproxy.Usage) int64 { return u.Reasoning },
	"input_audio_tokens":      func(u llmproxy.Usage) int64 { return u.InputAudio + u.CacheReadAudio },
	"output_audio_tokens":     func(u llmproxy.Usage) int64 { return u.OutputAudio },
	"input_image_tokens":      func(u llmproxy.Usage) int64 { return u.InputImage + u.CacheReadImage },
	"output_image_tokens":     func(u llmproxy.Usage) int64 { return u.OutputImage },
	"input_video_tokens":      func(u llmproxy.Usage) int64 { return u.InputVideo },
	"input_tool_tokens":       func(u llmproxy.Usage) int64 { return u.InputTool },
	"web_searches":            func(u llmproxy.Usage) int64 { return u.WebSearches },
}

// Differences returns by field what got says otherwise than want: the two counts.
// Fields without a counterpart in [llmproxy.Usage] are left out.
func Differences(got llmproxy.Usage, want Opinion) map[string][2]int64 {
	found := map[string][2]int64{}
	for field, n := range want.Usage {
		if count := counts[field]; count != nil && count(got) != n {
			found[field] = [2]int64{count(got), n}
		}
	}
	return found
}
