package brotli_test

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

	lib "github.com/andybalholm/brotli"
	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy/adapter/brotli"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func encode(t testing.TB, plain []byte, options lib.WriterOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	w := lib.NewWriterOptions(&b, options)
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
	d, err := brotli.NewReader(r)
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
	w := lib.NewWriter(&body)
	w.Write([]byte(`{"model":"gpt-5"}`))
	w.Close()

	r, _ := brotli.NewReader(&body)
	defer r.Close()
	plain, err := io.ReadAll(r)
	fmt.Println(string(plain), err)
	// Output: {"model":"gpt-5"} <nil>
}

func TestDecodes(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("the quick brown fox ", 100_000))
	for _, tt := range []struct {
		name    string
		plain   []byte
		options lib.WriterOptions
	}{
		{"nothing", nil, lib.WriterOptions{}},
		{"text, fast", text, lib.WriterOptions{Quality: 1}},
		{"text, small", text[:200_000], lib.WriterOptions{Quality: 11}},
		{"the largest window", text, lib.WriterOptions{Quality: 5, LGWin: 24}},
		{"noise", noise(300_000), lib.WriterOptions{Quality: 5}},
	} {
		coded := encode(t, tt.plain, tt.options)
		for _, cut := range []struct {
			name string
			r    io.Reader
		}{
			{"whole", bytes.NewBuffer(coded)},
			{"in halves", iotest.HalfReader(bytes.NewReader(coded))},
			{"byte by byte", iotest.OneByteReader(bytes.NewReader(coded))},
			{"with the end beside the data", iotest.DataErrReader(bytes.NewReader(coded))},
		} {
			got, err := decode(cut.r)
			if err != nil || !bytes.Equal(got, tt.plain) {
				t.Errorf("%s, %s: %d bytes, %v, want %d", tt.name, cut.name, len(got), err, len(tt.plain))
			}
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	good := encode(t, noise(50_000), lib.WriterOptions{Quality: 5})
	for _, tt := range []struct {
		name string
		in   []byte
		want error // nil for one of the library's own
	}{
		{"no bytes at all", nil, io.ErrUnexpectedEOF},
		{"JSON", []byte(`{"model":"gpt-5"}`), nil},
		{"cut", good[:len(good)/2], io.ErrUnexpectedEOF},
		{"cut before the last byte", good[:len(good)-1], io.ErrUnexpectedEOF},
		{"something behind the end", append(bytes.Clone(good), "more"...), nil},
	} {
		_, err := decode(bytes.NewReader(tt.in))
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := decode(iotest.ErrReader(fs.ErrInvalid)); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a source that fails: got %v, want its error", err)
	}
}

// What a small body decodes to may be larger than memory: it must come piece by piece.
func TestSmallBodyIsNotDecodedWhole(t *testing.T) {
	const plain = 96 << 20
	body := encode(t, make([]byte, plain), lib.WriterOptions{Quality: 1})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d, err := brotli.NewReader(bytes.NewBuffer(body))
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
	good := encode(t, noise(100_000), lib.WriterOptions{Quality: 5})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 30 {
				switch i % 3 {
				case 0: // leave in the middle
					d, err := brotli.NewReader(bytes.NewReader(good))
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
	f.Add([]byte(`{"model":"gpt-5","messages":[]}`), uint(3), uint8(5))
	f.Add([]byte{}, uint(0), uint8(0))
	f.Add(bytes.Repeat([]byte("ab"), 100_000), uint(7), uint8(11))
	f.Fuzz(func(t *testing.T, plain []byte, cut uint, quality uint8) {
		coded := encode(t, plain, lib.WriterOptions{Quality: int(quality % 12)})
		n := int(cut % uint(len(coded)+1))
		got, err := decode(io.MultiReader(bytes.NewReader(coded[:n]), bytes.NewReader(coded[n:])))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("cut at %d: got %q, %v, want %q", n, got, err, plain)
		}
	})
}

// Bytes of anyone's making give an end or an error, and leave the decoder usable.
func FuzzGarbage(f *testing.F) {
	good := encode(f, []byte("hello, hello, hello"), lib.WriterOptions{Quality: 5})
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := brotli.NewReader(bytes.NewReader(body))
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
	body := encode(b, []byte(strings.Repeat(`{"role":"user","content":"hello"},`, 1000)), lib.WriterOptions{Quality: 5})
	b.ReportAllocs()
	for b.Loop() {
		d, err := brotli.NewReader(bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, d); err != nil {
			b.Fatal(err)
		}
		d.Close()
	}
}
