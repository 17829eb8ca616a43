package gateway

import (
	"errors"
	"net/http"

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
