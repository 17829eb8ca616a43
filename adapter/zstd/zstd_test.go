package zstd_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	lib "github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy/adapter/zstd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// encode compresses plain as one frame.
func encode(t testing.TB, plain []byte, opts ...lib.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := lib.NewWriter(&b, append(opts, lib.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// decode reads all of r.
func decode(r io.Reader) ([]byte, error) {
	d, err := zstd.NewReader(r)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return io.ReadAll(d)
}

// noise returns n bytes that do not compress.
func noise(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

func ExampleNewReader() {
	var body bytes.Buffer
	w, _ := lib.NewWriter(&body)
	w.Write([]byte(`{"model":"gpt-5"}`))
	w.Close()

	r, _ := zstd.NewReader(&body)
	defer r.Close()
	plain, err := io.ReadAll(r)
	fmt.Println(string(plain), err)
	// Output: {"model":"gpt-5"} <nil>
}

func TestDecodes(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("the quick brown fox ", 100_000))
	for _, tt := range []struct {
		name string
		in   []byte
		want []byte
	}{
		{"an empty frame", encode(t, nil, lib.WithZeroFrames(true)), nil},
		{"text", encode(t, text), text},
		{"noise", encode(t, noise(300_000)), noise(300_000)},
		{"the largest window", encode(t, text, lib.WithWindowSize(8<<20)), text},
		{"two frames", append(encode(t, []byte("one ")), encode(t, []byte("two"))...), []byte("one two")},
		{"a skippable frame first", append([]byte{0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'h', 'i'}, encode(t, []byte("x"))...), []byte("x")},
	} {
		for _, cut := range []struct {
			name string
			r    io.Reader
		}{
			{"whole", bytes.NewBuffer(tt.in)},
			{"in halves", iotest.HalfReader(bytes.NewReader(tt.in))},
			{"with the end beside the data", iotest.DataErrReader(bytes.NewReader(tt.in))},
		} {
			got, err := decode(cut.r)
			if err != nil || !bytes.Equal(got, tt.want) {
				t.Errorf("%s, %s: %d bytes, %v, want %d", tt.name, cut.name, len(got), err, len(tt.want))
			}
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	good := encode(t, []byte(strings.Repeat("text ", 50_000)))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1 // of the checksum
	for _, tt := range []struct {
		name string
		in   []byte
		want error
	}{
		{"JSON", []byte(`{"model":"gpt-5"}`), lib.ErrMagicMismatch},
		{"cut in the frame", good[:len(good)/2], io.ErrUnexpectedEOF},
		{"cut in the checksum", good[:len(good)-1], io.ErrUnexpectedEOF},
		{"a wrong checksum", flipped, lib.ErrCRCMismatch},
		{"something behind the frame", append(bytes.Clone(good), "more"...), lib.ErrMagicMismatch},
	} {
		if _, err := decode(bytes.NewReader(tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := decode(iotest.ErrReader(fs.ErrInvalid)); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a source that fails: got %v, want its error", err)
	}
}

// A sender may not ask for more than 8 MiB (RFC 9659), whichever way it asks.
func TestWindowIsBounded(t *testing.T) {
	t.Parallel()
	window := func(descriptor byte) []byte {
		// Magic, no content size, the window, then one raw block of no bytes.
		return []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, descriptor, 1, 0, 0}
	}
	const exponent8MiB = 13 << 3 // 2^(10+13)
	if got, err := decode(bytes.NewReader(window(exponent8MiB))); len(got) != 0 || err != nil {
		t.Errorf("a window of 8 MiB: %d bytes, %v", len(got), err)
	}
	if _, err := decode(bytes.NewReader(window(exponent8MiB | 1))); !errors.Is(err, lib.ErrWindowSizeExceeded) {
		t.Errorf("a window of 9 MiB: got %v, want %v", err, lib.ErrWindowSizeExceeded)
	}
	// A single segment of 8 MiB and a byte is its own window.
	single := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0x01, 0x00, 0x80, 0x00, 1, 0, 0}
	if _, err := decode(bytes.NewReader(single)); !errors.Is(err, lib.ErrDecoderSizeExceeded) {
		t.Errorf("a segment of 8 MiB + 1: got %v, want %v", err, lib.ErrDecoderSizeExceeded)
	}
}

// What a small body decodes to may be larger than memory. It must come piece by piece,
// also from a bytes.Buffer, which the library likes to decode whole.
func TestSmallBodyIsNotDecodedWhole(t *testing.T) {
	const plain = 96 << 20
	body := encode(t, make([]byte, plain), lib.WithWindowSize(1<<20))
	if len(body) > 128<<10 {
		t.Fatalf("the body has %d bytes: not a small one", len(body))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d, err := zstd.NewReader(bytes.NewBuffer(body))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	n, err := io.Copy(struct{ io.Writer }{io.Discard}, d)
	runtime.ReadMemStats(&after)
	if n != plain || err != nil {
		t.Errorf("got %d bytes, %v, want %d", n, err, plain)
	}
	// Other tests run before or after: this one is not parallel.
	if got := after.TotalAlloc - before.TotalAlloc; got > 32<<20 {
		t.Errorf("decoding took %d MiB, want 32 at most", got>>20)
	}
}

// An idle decoder must not carry anything from one body to the next.
func TestDecodersAreReusable(t *testing.T) {
	t.Parallel()
	good := encode(t, noise(100_000))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 30 {
				switch i % 3 {
				case 0: // leave in the middle
					d, err := zstd.NewReader(bytes.NewReader(good))
					if err != nil {
						t.Error(err)
						return
					}
					io.CopyN(io.Discard, d, 10)
					d.Close()
				case 1: // break
					if _, err := decode(bytes.NewReader(good[:50_000])); err == nil {
						t.Error("half a body: no error")
					}
				case 2:
					if got, err := decode(bytes.NewReader(good)); err != nil || !bytes.Equal(got, noise(100_000)) {
						t.Errorf("a good body after bad ones: %d bytes, %v", len(got), err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(`{"model":"gpt-5","messages":[]}`), uint(3))
	f.Add([]byte{}, uint(0))
	f.Add(bytes.Repeat([]byte("ab"), 100_000), uint(70))
	f.Fuzz(func(t *testing.T, plain []byte, cut uint) {
		coded := encode(t, plain, lib.WithZeroFrames(true))
		n := int(cut % uint(len(coded)+1))
		got, err := decode(io.MultiReader(bytes.NewReader(coded[:n]), bytes.NewReader(coded[n:])))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("cut at %d: got %q, %v, want %q", n, got, err, plain)
		}
	})
}

// Bytes of anyone's making give an end or an error, and leave the decoder usable.
func FuzzGarbage(f *testing.F) {
	good := encode(f, []byte("hello, hello, hello"))
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68, 1, 0, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := zstd.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		io.CopyN(io.Discard, d, 1<<20)
		d.Close()
		if got, err := decode(bytes.NewReader(good)); string(got) != "hello, hello, hello" || err != nil {
			t.Errorf("afterwards: got %q, %v", got, err)
		}
	})
}

func BenchmarkNewReader(b *testing.B) {
	body := encode(b, []byte(strings.Repeat(`{"role":"user","content":"hello"},`, 1000)))
	b.ReportAllocs()
	for b.Loop() {
		d, err := zstd.NewReader(bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, d); err != nil {
			b.Fatal(err)
		}
		d.Close()
	}
}
