// Package reference is what the gateway is compared with: Go's own reverse proxy, which
// forwards and knows nothing of what it forwards.
package reference

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// New returns a ReverseProxy to upstream, a host and port, that keeps its connections and
// sends what it reads at once.
func New(upstream string) http.Handler {
	to := &url.URL{Scheme: "http", Host: upstream}
	p := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
		FlushInterval: -1,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 1024,
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Else net/http closes the request's body when the answer begins, which the
		// transport may take for a broken request: https://go.dev/issue/15527.
		_ = http.NewResponseController(w).EnableFullDuplex()
		p.ServeHTTP(w, r)
	})
}
