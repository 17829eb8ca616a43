package ws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"
)

const (
	// maxRefusal is in bytes: what is kept of the body of an answer that is not a 101.
	maxRefusal = 64 << 10
	// handshakeTimeout is for dialers that do not say.
	handshakeTimeout = 15 * time.Second
)

// Handshake carries one handshake over net/http, which knows proxies and TLS and listens
// to contexts, and keeps what came back. It is an [http.RoundTripper] for one request.
type Handshake struct {
	// Socket is the connection, nil where none came about.
	Socket net.Conn

	transport *http.Transport
	response  *http.Response
	body      []byte
}

// NewHandshake returns a handshake over transport, and the context that bounds it to
// timeout. A nil transport is one that goes through the proxy of the environment and
// keeps no connection; a timeout of 0 is 15 s.
func NewHandshake(ctx context.Context, transport *http.Transport, timeout time.Duration) (*Handshake, context.Context, context.CancelFunc) {
	if transport == nil {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		transport = &http.Transport{
			Proxy:              http.ProxyFromEnvironment,
			Protocols:          protocols,
			DisableKeepAlives:  true,
			DisableCompression: true,
		}
	}
	if timeout == 0 {
		timeout = handshakeTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	return &Handshake{transport: transport}, ctx, cancel
}

// RoundTrip sends r. It reads the first 64 KiB of an answer that is not a 101.
func (h *Handshake) RoundTrip(r *http.Request) (*http.Response, error) {
	var socket net.Conn
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { socket = info.Conn },
	})
	resp, err := h.transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	// The library may go on with the response, and close what it gets.
	kept := *resp
	h.response = &kept
	if resp.StatusCode == http.StatusSwitchingProtocols {
		h.Socket = socket
		return resp, nil
	}
	// What has come of a body that breaks off is worth returning.
	h.body, _ = io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	resp.Body.Close()
	resp.Body = h.answer()
	return resp, nil
}

// Response returns what came back, with as much of its body as was read; nil where
// nothing did.
func (h *Handshake) Response() *http.Response {
	if h.response != nil {
		h.response.Body = h.answer()
	}
	return h.response
}

func (h *Handshake) answer() io.ReadCloser {
	if len(h.body) == 0 {
		return http.NoBody
	}
	return io.NopCloser(bytes.NewReader(h.body))
}

// Failure returns the error of a Dial from the library's. It names no URL, the query of
// which may hold a key.
func (h *Handshake) Failure(err error) error {
	if h.response != nil && h.response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the handshake was answered with %d", h.response.StatusCode)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// ParseURL returns the URL over HTTP of a ws:// or wss:// URL.
func ParseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, errors.New("not a ws:// or wss:// URL of a host") // err quotes the URL
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	default:
		return nil, fmt.Errorf("the scheme is %q and not ws or wss", u.Scheme)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}
