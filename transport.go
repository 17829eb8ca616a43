package llmproxy

import (
	"net"
	"net/http"
	"time"
)

// NewTransport returns the transport a router uses by default. It honours HTTPS_PROXY
// and NO_PROXY, keeps up to 1,024 idle connections to a provider, and speaks HTTP/2
// where the provider does. It does not undo content codings and, being a transport,
// does not follow redirects.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    1024,
		IdleConnTimeout:        60 * time.Second, // under what providers and their balancers keep
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: mib,
		DisableCompression:     true,
		// A connection that has died in silence is found out while a stream waits on it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
}
