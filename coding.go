package llmproxy

import (
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strings"
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
// have yet.
type decodedBody struct {
	a       *AutoRouter
	body    io.ReadCloser
	codings []string
	src     io.Reader
	open    []io.Closer
}

func (d *decodedBody) Read(p []byte) (int, error) {
	if d.src == nil {
		d.src = d.body
		for _, c := range slices.Backward(d.codings) {
			decoder, _ := d.a.decoder(c)
			r, err := decoder(d.src)
			if err != nil {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return 0, err
			}
			d.src, d.open = r, append(d.open, r)
		}
	}
	return d.src.Read(p)
}

func (d *decodedBody) Close() error {
	for _, c := range slices.Backward(d.open) {
		_ = c.Close()
	}
	return d.body.Close()
}
