package ws

import (
	"errors"
	"io"
	"syscall"

	"github.com/llmproxy/llmproxy"
)

// PeerGone reports whether err is that of a connection that the peer has ended without a
// close frame, and returns the error that stands for it: code 1006.
func PeerGone(err error) (*llmproxy.WSCloseError, bool) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return &llmproxy.WSCloseError{Code: llmproxy.WSCloseAbnormal}, true
	}
	return nil, false
}
