package ws_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/iotest"

	"github.com/llmproxy/llmproxy/adapter/internal/ws"
)

func TestBufferReadsAll(t *testing.T) {
	t.Parallel()
	var b ws.Buffer
	for _, n := range []int{0, 1, 4095, 4096, 4097, 8192, 100_000, 1 << 20, 1<<20 + 1, 5} {
		want := bytes.Repeat([]byte("a"), n)
		for name, r := range map[string]io.Reader{
			"at once":           bytes.NewReader(want),
			"in small parts":    iotest.OneByteReader(bytes.NewReader(want)),
			"its end with data": iotest.DataErrReader(bytes.NewReader(want)),
		} {
			for _, limit := range []int64{0, -1, int64(n), int64(n) + 1} {
				if got, err := b.Read(r, limit); !bytes.Equal(got, want) || err != nil {
					t.Errorf("%d bytes %s, a limit of %d: got %d, %v", n, name, limit, len(got), err)
				}
				b.Release()
				b.Release()
				r = bytes.NewReader(want)
			}
		}
	}
}

func TestBufferStopsAtTheLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{1, 4095, 4096, 4097, 70_000} {
		for _, more := range []int64{1, 2, 1 << 30} {
			var b ws.Buffer
			src := &endless{left: limit + more}
			got, err := b.Read(src, limit)
			if e, ok := errors.AsType[*http.MaxBytesError](err); !ok || e.Limit != limit || got != nil {
				t.Errorf("%d bytes, a limit of %d: got %d, %v", limit+more, limit, len(got), err)
			}
			if src.read != limit+1 {
				t.Errorf("%d bytes, a limit of %d: %d were read", limit+more, limit, src.read)
			}
		}
	}
}

// endless has as many bytes as are left, and counts those read.
type endless struct{ left, read int64 }

func (e *endless) Read(p []byte) (int, error) {
	n := min(int64(len(p)), e.left)
	if n == 0 {
		return 0, io.EOF
	}
	e.left -= n
	e.read += n
	return int(n), nil
}

func TestBufferPassesErrors(t *testing.T) {
	t.Parallel()
	var b ws.Buffer
	want := errors.New("broken")
	if got, err := b.Read(io.MultiReader(bytes.NewReader(make([]byte, 9000)), iotest.ErrReader(want)), 0); got != nil || !errors.Is(err, want) {
		t.Errorf("got %d bytes, %v, want %v", len(got), err, want)
	}
	if got, err := b.Read(bytes.NewReader([]byte("next")), 0); string(got) != "next" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// Two readers never share memory while both have a message.
func TestBuffersDoNotOverlap(t *testing.T) {
	t.Parallel()
	var first, second ws.Buffer
	first.Read(bytes.NewReader([]byte("before")), 0)
	first.Release()
	one, _ := first.Read(bytes.NewReader([]byte("one")), 0)
	two, _ := second.Read(bytes.NewReader([]byte("two")), 0)
	if string(one) != "one" || string(two) != "two" {
		t.Errorf("got %q and %q", one, two)
	}
}

func FuzzBuffer(f *testing.F) {
	f.Add([]byte("message"), int64(3), uint16(2))
	f.Add(make([]byte, 4096), int64(0), uint16(4096))
	f.Fuzz(func(t *testing.T, want []byte, limit int64, cut uint16) {
		at := min(int(cut), len(want))
		var b ws.Buffer
		got, err := b.Read(io.MultiReader(bytes.NewReader(want[:at]), bytes.NewReader(want[at:])), limit)
		switch tooBig := limit > 0 && int64(len(want)) > limit; {
		case tooBig && err == nil:
			t.Errorf("%d bytes pass a limit of %d", len(want), limit)
		case !tooBig && (err != nil || !bytes.Equal(got, want)):
			t.Errorf("%d bytes, a limit of %d: got %d, %v", len(want), limit, len(got), err)
		}
	})
}
