package brotli_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	lib "github.com/andybalholm/brotli"
	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy/adapter/brotli"
	"github.com/llmproxy/llmproxy/adapter/internal/pooled/pooledtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var coding = pooledtest.Coding{
	NewReader: brotli.NewReader,
	Encode: func(t testing.TB, plain []byte) []byte {
		return encode(t, plain, lib.WriterOptions{Quality: 5})
	},
}

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
		{"noise", pooledtest.Noise(300_000), lib.WriterOptions{Quality: 5}},
	} {
		coding.Decodes(t, tt.name, encode(t, tt.plain, tt.options), tt.plain)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	good := coding.Encode(t, pooledtest.Noise(50_000))
	coding.Fails(t, "no bytes at all", nil, io.ErrUnexpectedEOF)
	coding.Fails(t, "JSON", []byte(`{"model":"gpt-5"}`), nil)
	coding.Fails(t, "cut", good[:len(good)/2], io.ErrUnexpectedEOF)
	coding.Fails(t, "cut before the last byte", good[:len(good)-1], io.ErrUnexpectedEOF)
	coding.Fails(t, "something behind the end", append(bytes.Clone(good), "more"...), nil)
	coding.PassesErrors(t)
}

// What a small body decodes to may be larger than memory: it must come piece by piece.
func TestSmallBodyIsNotDecodedWhole(t *testing.T) {
	coding.IsBounded(t, encode(t, make([]byte, pooledtest.Large), lib.WriterOptions{Quality: 1}))
}

func TestDecodersAreReusable(t *testing.T) {
	t.Parallel()
	coding.IsReusable(t)
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(`{"model":"gpt-5","messages":[]}`), uint(3), uint8(5))
	f.Add([]byte{}, uint(0), uint8(0))
	f.Add(bytes.Repeat([]byte("ab"), 100_000), uint(7), uint8(11))
	f.Fuzz(func(t *testing.T, plain []byte, cut uint, quality uint8) {
		coding.RoundTrips(t, encode(t, plain, lib.WriterOptions{Quality: int(quality % 12)}), plain, cut)
	})
}

// Bytes of anyone's making give an end or an error, and leave the decoder usable.
func FuzzGarbage(f *testing.F) {
	good := coding.Encode(f, []byte(pooledtest.Hello))
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Fuzz(func(t *testing.T, body []byte) { coding.Survives(t, body, good) })
}

func BenchmarkNewReader(b *testing.B) { coding.Benchmark(b) }
