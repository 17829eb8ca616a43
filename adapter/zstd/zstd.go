// Package zstd decodes bodies of the content coding zstd (RFC 8878).
//
// It takes the memory that RFC 9659 lets a sender ask for, 8 MiB a stream, and no more,
// however much a body decodes to. It starts no goroutine.
//
//	llmproxy.WithDecoder(zstd.Coding, zstd.NewReader)
package zstd

import (
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/internal/pooled"
)

// Coding is the name of the content coding.
const Coding = "zstd"

// maxWindow is in bytes. RFC 9659 forbids senders of this content coding a larger one.
const maxWindow = 8 << 20

var _ llmproxy.Decoder = NewReader

// decoders holds idle ones: each keeps its window, which would otherwise be allocated
// anew for every body.
var decoders = pooled.New(func() (pooled.Decoder, error) {
	return zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1), // decodes inside Read, without goroutines
		zstd.WithDecoderMaxWindow(maxWindow),
		// A small bytes.Buffer would be decoded whole, into as much memory as it asks for.
		zstd.WithDecodeBuffersBelow(0),
	)
})

// NewReader returns a reader of what r decodes to: one or more frames, up to the end of
// r. It reads nothing yet; a fault of r's bytes is an error of Read, and an r that ends
// inside a frame is [io.ErrUnexpectedEOF].
//
// One goroutine may read at a time. Close frees the decoder and not r; it may be called
// during a Read. A Read after it returns [io/fs.ErrClosed].
func NewReader(r io.Reader) (io.ReadCloser, error) { return decoders.Open(r) }
