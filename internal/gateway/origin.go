package gateway

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
)

// Origin is a web origin, scheme://host[:port], whose pages may use the data listener.
type Origin string

// UnmarshalText reads an origin.
func (o *Origin) UnmarshalText(text []byte) error {
	if err := http.NewCrossOriginProtection().AddTrustedOrigin(string(text)); err != nil {
		return errOrigin
	}
	*o = Origin(text)
	return nil
}

var errOrigin = errors.New("is no origin: write one such as https://ui.example.com, without a path")

// Host is a name of this machine, without a port.
type Host string

// UnmarshalText reads a host name or an IP address.
func (h *Host) UnmarshalText(text []byte) error {
	name := string(text)
	if net.ParseIP(name) == nil && (name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-.") != "") {
		return errHost
	}
	*h = Host(name)
	return nil
}

var errHost = errors.New("is no host: write a name such as gateway.internal, without a port")

// ownHost keeps pages whose name was pointed at this machine after they were loaded (DNS
// rebinding) from passing for pages of its own: on a loopback listener, a request is for
// a loopback address, localhost, or a host that the operator named.
func ownHost(next http.Handler, named []Host) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isOwnHost(r.Host, named) {
			llmproxy.WriteError(w, r, &llmproxy.Error{
				Status: http.StatusForbidden, Type: "invalid_request_error", Code: "unknown_host",
				Message: "requests for another host than this machine are refused: name the host under hosts", NoRetry: true,
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isOwnHost(host string, named []Host) bool {
	name := strings.TrimSuffix(host, ".")
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = strings.TrimSuffix(h, ".")
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	if ip := net.ParseIP(name); ip != nil && ip.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(named, func(n Host) bool { return strings.EqualFold(string(n), name) })
}

// sameOrigin keeps web pages from spending the providers' keys: a browser sends a page's
// request to a loopback address without asking anybody, and no gateway key stands in its
// way. Clients that are no browsers say nothing of an origin, and pass.
func sameOrigin(next http.Handler, trusted []Origin) http.Handler {
	p := http.NewCrossOriginProtection()
	for _, o := range trusted {
		_ = p.AddTrustedOrigin(string(o)) // it has been read before
	}
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		llmproxy.WriteError(w, r, &llmproxy.Error{
			Status: http.StatusForbidden, Type: "invalid_request_error", Code: "cross_origin",
			Message: "requests from web pages of other origins are refused: name the page's origin under origins", NoRetry: true,
		})
	}))
	return p.Handler(next)
}
