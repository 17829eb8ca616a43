// Package brotli decodes bodies of the content coding br (RFC 7932).
//
// It takes at most the 16 MiB window that the format allows, however much a body decodes
// to. It starts no goroutine.
//
//	llmproxy.WithDecoder(brotli.Coding, brotli.NewReader)
package brotli

import (
	"io"

	"github.com/andybalholm/brotli"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/internal/pooled"
)

// Coding is the name of the content coding.
const Coding = "br"

var _ llmproxy.Decoder = NewReader

// decoders holds idle ones: each keeps its buffers, which would otherwise be allocated
// anew for every body.
var decoders = pooled.New(func() (pooled.Decoder, error) { return new(brotli.Reader), nil })

// NewReader returns a reader of what r decodes to. It reads nothing yet; a fault of r's
// bytes, and bytes behind the end of the stream, are an error of Read, and an r that ends
// too early is [io.ErrUnexpectedEOF].
//
// One goroutine may read at a time. Close frees the decoder and not r; it may be called
// during a Read. A Read after it returns [io/fs.ErrClosed].
func NewReader(r io.Reader) (io.ReadCloser, error) { return decoders.Open(r) }
