// Package pooledtest holds the decoders of every content coding to the same promises:
// what they read does not depend on how it is cut, faults are errors, memory is bounded,
// and nothing is carried from one body to the next.
package pooledtest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/llmproxy/llmproxy"
)

// Coding is a content coding.
type Coding struct {
	NewReader llmproxy.Decoder
	Encode    func(t testing.TB, plain []byte) []byte
}

// Decode reads all of r.
func (c Coding) Decode(r io.Reader) ([]byte, error) {
	d, err := c.NewReader(r)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return io.ReadAll(d)
}

// Decodes checks that coded is read as plain, however it comes.
func (c Coding) Decodes(t *testing.T, name string, coded, plain []byte) {
	t.Helper()
	for _, cut := range []struct {
		name string
		r    io.Reader
	}{
		{"whole", bytes.NewBuffer(coded)},
		{"in halves", iotest.HalfReader(bytes.NewReader(coded))},
		{"byte by byte", iotest.OneByteReader(bytes.NewReader(coded))},
		{"with the end beside the data", iotest.DataErrReader(bytes.NewReader(coded))},
	} {
		got, err := c.Decode(cut.r)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s, %s: %d bytes, %v, want %d", name, cut.name, len(got), err, len(plain))
		}
	}
}

// Fails checks that body is read with the error want; nil means one of the library's own.
func (c Coding) Fails(t *testing.T, name string, body []byte, want error) {
	t.Helper()
	_, err := c.Decode(bytes.NewReader(body))
	if err == nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", name, err, want)
	}
}

// PassesErrors checks that an error of the source is the reader's.
func (c Coding) PassesErrors(t *testing.T) {
	t.Helper()
	if _, err := c.Decode(iotest.ErrReader(fs.ErrInvalid)); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a source that fails: got %v, want its error", err)
	}
}

// IsBounded checks that body, which decodes to 96 MiB, is not decoded whole, not even from
// a [bytes.Buffer], whose size is known. No other test may run beside it: it counts what
// is allocated.
func (c Coding) IsBounded(t *testing.T, body []byte) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d, err := c.NewReader(bytes.NewBuffer(body))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	n, err := io.Copy(struct{ io.Writer }{io.Discard}, d)
	runtime.ReadMemStats(&after)
	if n != Large || err != nil {
		t.Errorf("got %d bytes, %v, want %d", n, err, Large)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 32<<20 {
		t.Errorf("decoding took %d MiB, want 32 at most", got>>20)
	}
}

// Large is how many bytes the body of [Coding.IsBounded] decodes to.
const Large = 96 << 20

// IsReusable checks that an idle decoder carries nothing from one body to the next, also
// where one was left or broke in the middle.
func (c Coding) IsReusable(t *testing.T) {
	t.Helper()
	plain := Noise(100_000)
	good := c.Encode(t, plain)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 30 {
				switch i % 3 {
				case 0: // leave in the middle
					d, err := c.NewReader(bytes.NewReader(good))
					if err != nil {
						t.Error(err)
						return
					}
					io.CopyN(io.Discard, d, 10)
					d.Close()
				case 1: // break
					if _, err := c.Decode(bytes.NewReader(good[:50_000])); err == nil {
						t.Error("half a body: no error")
					}
				case 2:
					if got, err := c.Decode(bytes.NewReader(good)); err != nil || !bytes.Equal(got, plain) {
						t.Errorf("a good body after bad ones: %d bytes, %v", len(got), err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// RoundTrips checks that coded, cut anywhere, is read as plain.
func (c Coding) RoundTrips(t *testing.T, coded, plain []byte, cut uint) {
	t.Helper()
	n := int(cut % uint(len(coded)+1))
	got, err := c.Decode(io.MultiReader(bytes.NewReader(coded[:n]), bytes.NewReader(coded[n:])))
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("cut at %d: got %q, %v, want %q", n, got, err, plain)
	}
}

// Survives checks that a body of anyone's making ends, or fails, and leaves decoders that
// read good, which is what [Hello] becomes.
func (c Coding) Survives(t *testing.T, body, good []byte) {
	t.Helper()
	d, err := c.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	io.CopyN(io.Discard, d, 1<<20)
	d.Close()
	if got, err := c.Decode(bytes.NewReader(good)); string(got) != Hello || err != nil {
		t.Errorf("afterwards: got %q, %v", got, err)
	}
}

// Hello is a short text.
const Hello = "hello, hello, hello"

// Benchmark measures the reading of a body as chats have it.
func (c Coding) Benchmark(b *testing.B) {
	body := c.Encode(b, []byte(strings.Repeat(`{"role":"user","content":"hello"},`, 1000)))
	b.ReportAllocs()
	for b.Loop() {
		d, err := c.NewReader(bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, d); err != nil {
			b.Fatal(err)
		}
		d.Close()
	}
}

// Noise returns n bytes that do not compress, always the same.
func Noise(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}
