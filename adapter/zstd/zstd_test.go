package zstd_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	lib "github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy/adapter/internal/pooled/pooledtest"
	"github.com/llmproxy/llmproxy/adapter/zstd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var coding = pooledtest.Coding{
	NewReader: zstd.NewReader,
	Encode:    func(t testing.TB, plain []byte) []byte { return encode(t, plain) },
}

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
	noise := pooledtest.Noise(300_000)
	for _, tt := range []struct {
		name        string
		coded, want []byte
	}{
		{"an empty frame", encode(t, nil, lib.WithZeroFrames(true)), nil},
		{"text", encode(t, text), text},
		{"noise", encode(t, noise), noise},
		{"the largest window", encode(t, text, lib.WithWindowSize(8<<20)), text},
		{"two frames", append(encode(t, []byte("one ")), encode(t, []byte("two"))...), []byte("one two")},
		{"a skippable frame first", append([]byte{0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'h', 'i'}, encode(t, []byte("x"))...), []byte("x")},
	} {
		coding.Decodes(t, tt.name, tt.coded, tt.want)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	good := encode(t, []byte(strings.Repeat("text ", 50_000)))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1 // of the checksum
	coding.Fails(t, "JSON", []byte(`{"model":"gpt-5"}`), lib.ErrMagicMismatch)
	coding.Fails(t, "cut in the frame", good[:len(good)/2], io.ErrUnexpectedEOF)
	coding.Fails(t, "cut in the checksum", good[:len(good)-1], io.ErrUnexpectedEOF)
	coding.Fails(t, "a wrong checksum", flipped, lib.ErrCRCMismatch)
	coding.Fails(t, "something behind the frame", append(bytes.Clone(good), "more"...), lib.ErrMagicMismatch)
	coding.PassesErrors(t)
}

// A sender may not ask for more than 8 MiB (RFC 9659), whichever way it asks.
func TestWindowIsBounded(t *testing.T) {
	t.Parallel()
	window := func(descriptor byte) []byte {
		// Magic, no content size, the window, then one raw block of no bytes.
		return []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, descriptor, 1, 0, 0}
	}
	const exponent8MiB = 13 << 3 // 2^(10+13)
	if got, err := coding.Decode(bytes.NewReader(window(exponent8MiB))); len(got) != 0 || err != nil {
		t.Errorf("a window of 8 MiB: %d bytes, %v", len(got), err)
	}
	if _, err := coding.Decode(bytes.NewReader(window(exponent8MiB | 1))); !errors.Is(err, lib.ErrWindowSizeExceeded) {
		t.Errorf("a window of 9 MiB: got %v, want %v", err, lib.ErrWindowSizeExceeded)
	}
	// A single segment of 8 MiB and a byte is its own window.
	single := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0x01, 0x00, 0x80, 0x00, 1, 0, 0}
	if _, err := coding.Decode(bytes.NewReader(single)); !errors.Is(err, lib.ErrDecoderSizeExceeded) {
		t.Errorf("a segment of 8 MiB + 1: got %v, want %v", err, lib.ErrDecoderSizeExceeded)
	}
}

// What a small body decodes to may be larger than memory. It must come piece by piece,
// also from a bytes.Buffer, which the library likes to decode whole.
func TestSmallBodyIsNotDecodedWhole(t *testing.T) {
	body := encode(t, make([]byte, pooledtest.Large), lib.WithWindowSize(1<<20))
	if len(body) > 128<<10 {
		t.Fatalf("the body has %d bytes: not a small one", len(body))
	}
	coding.IsBounded(t, body)
}

func TestDecodersAreReusable(t *testing.T) {
	t.Parallel()
	coding.IsReusable(t)
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(`{"model":"gpt-5","messages":[]}`), uint(3))
	f.Add([]byte{}, uint(0))
	f.Add(bytes.Repeat([]byte("ab"), 100_000), uint(70))
	f.Fuzz(func(t *testing.T, plain []byte, cut uint) {
		coding.RoundTrips(t, encode(t, plain, lib.WithZeroFrames(true)), plain, cut)
	})
}

// Bytes of anyone's making give an end or an error, and leave the decoder usable.
func FuzzGarbage(f *testing.F) {
	good := encode(f, []byte(pooledtest.Hello))
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68, 1, 0, 0})
	f.Fuzz(func(t *testing.T, body []byte) { coding.Survives(t, body, good) })
}

func BenchmarkNewReader(b *testing.B) { coding.Benchmark(b) }
