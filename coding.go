package llmproxy

import (
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// contentCodings lists the codings of a body in the order they were applied, without
// identity.
func contentCodings(h http.Header) (codings []string) {
	for _, v := range h["Content-Encoding"] {
		for c := range strings.SplitSeq(v, ",") {
			c = strings.ToLower(strings.TrimSpace(c))
			if c != "" && c != "identity" {
				codings = append(codings, c)
			}
		}
	}
	return codings
}

func (a *AutoRouter) decoder(coding string) (Decoder, bool) {
	if coding == "gzip" || coding == "x-gzip" {
		return func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }, true
	}
	d, ok := a.decoders[coding]
	return d, ok
}

// decode undoes codings, the last applied first. ok is false when one is unknown.
func (a *AutoRouter) decode(body io.ReadCloser, codings []string) (io.ReadCloser, bool) {
	for _, c := range codings {
		if _, ok := a.decoder(c); !ok {
			return nil, false
		}
	}
	return &decodedBody{a: a, body: body, codings: codings}, true
}

// decodedBody decodes on the first read: a decoder may want bytes that a stream does not
// have yet. It may be closed while it is read.
type decodedBody struct {
	a       *AutoRouter
	body    io.ReadCloser
	codings []string

	mu   sync.Mutex // guards the following, and what they read
	src  io.Reader
	open []io.Closer
}

func (d *decodedBody) Read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.src == nil {
		d.src = d.body
		for _, c := range slices.Backward(d.codings) {
			decoder, _ := d.a.decoder(c)
			r, err := decoder(d.src)
			if err != nil {
				return 0, err // io.EOF where there was nothing to decode
			}
			d.src, d.open = r, append(d.open, r)
		}
	}
	return d.src.Read(p)
}

func (d *decodedBody) Close() error {
	err := d.body.Close() // first: it ends a read that waits
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range slices.Backward(d.open) {
		_ = c.Close()
	}
	d.open = nil
	return err
}
