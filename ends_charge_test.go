package llmproxy_test

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/llmproxy/llmproxy"
)

// withCharge is usage that states a charge as xAI does.
func withCharge(answer []byte) []byte {
	return bytes.Replace(answer, []byte(`"usage":{`), []byte(`"usage":{"cost_in_usd_ticks":20800000,`), 1)
}

// statingTrips has the provider state its charge.
type statingTrips struct{ http.RoundTripper }

func (s statingTrips) RoundTrip(q *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	resp.Body = &statingBody{ReadCloser: resp.Body}
	resp.Header.Del("Content-Length")
	resp.ContentLength, resp.TransferEncoding = -1, []string{"chunked"}
	return resp, nil
}

// statingBody passes a body on, and puts the charge into the usage. The simulator writes
// an event at once, so that the usage is found where it is.
type statingBody struct {
	io.ReadCloser
	rest []byte
}

func (s *statingBody) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		n, err := s.ReadCloser.Read(p)
		if s.rest = withCharge(p[:n]); len(s.rest) == 0 {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// statingDialer is the same on WebSockets.
type statingDialer struct{ llmproxy.WSDialer }

func (s statingDialer) Dial(ctx context.Context, url string, header http.Header) (llmproxy.WSConn, *http.Response, error) {
	conn, resp, err := s.WSDialer.Dial(ctx, url, header)
	if err != nil {
		return nil, resp, err
	}
	return statingConn{conn}, resp, nil
}

type statingConn struct{ llmproxy.WSConn }

func (s statingConn) ReadMessage() (int, []byte, error) {
	kind, p, err := s.WSConn.ReadMessage()
	return kind, withCharge(p), err
}
