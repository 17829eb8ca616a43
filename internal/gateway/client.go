package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxy is what may say on whose behalf it calls: an address, a range of them (10.0.0.0/8),
// or unix, whoever connects to a unix socket.
type Proxy struct {
	prefix netip.Prefix // invalid: unix
}

// UnmarshalText reads an address, a range or "unix".
func (p *Proxy) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "unix" {
		*p = Proxy{}
		return nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		*p = Proxy{netip.PrefixFrom(a, a.BitLen())}
		return nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil || prefix.Addr().Is4In6() {
		return errProxy
	}
	*p = Proxy{prefix.Masked()}
	return nil
}

var errProxy = errors.New("is no proxy: write an address such as 10.0.0.7, a range such as 10.0.0.0/8, or unix")

// clientAddress returns the address of r's client: that of the other end, unless it is one
// of proxies. Then it is the last in X-Forwarded-For that is none of them; what stands
// before it anybody may have written. "" is not known.
func clientAddress(r *http.Request, proxies []Proxy) string {
	at, ok := hostOf(r.RemoteAddr)
	if !trusted(proxies, at, !ok) {
		return text(at)
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, ok := hostOf(strings.TrimSpace(hop))
		if !ok {
			break // what no proxy writes
		}
		if at = next; !trusted(proxies, at, false) {
			break
		}
	}
	return text(at)
}

// hostOf reads an address, with or without a port.
func hostOf(s string) (a netip.Addr, ok bool) {
	if with, err := netip.ParseAddrPort(s); err == nil {
		return with.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return a.Unmap().WithZone(""), err == nil
}

func trusted(proxies []Proxy, a netip.Addr, unix bool) bool {
	return slices.ContainsFunc(proxies, func(p Proxy) bool {
		if !p.prefix.IsValid() {
			return unix
		}
		return a.IsValid() && p.prefix.Contains(a)
	})
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// refusals wraps door, and logs whom it does not let through: that leaves no record.
func refusals(door func(http.Handler) http.Handler, next http.Handler, proxies []Proxy, logger *slog.Logger) http.Handler {
	h := door(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if passed, ok := r.Context().Value(passedKey{}).(*bool); ok {
			*passed = true
		}
		next.ServeHTTP(w, r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed := false
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), passedKey{}, &passed)))
		if !passed {
			logger.Info("a request without a valid gateway key was refused", "client", clientAddress(r, proxies))
		}
	})
}

// passedKey is where a request notes that it was let through.
type passedKey struct{}
