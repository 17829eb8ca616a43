package gateway

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

// Address is where the gateway listens: host and port, or a unix socket.
type Address struct {
	Network string // "tcp" or "unix"
	Address string // host:port, or the socket's path
}

// sun_path holds 108 bytes on Linux, 104 elsewhere, the last one 0.
const maxSocketPath = 103

// UnmarshalText reads host:port or unix:/path.
func (a *Address) UnmarshalText(text []byte) error {
	parsed, err := parseAddress(string(text))
	if err == nil {
		*a = parsed
	}
	return err
}

// parseAddress reads host:port or unix:/path. The error reads on from the text.
func parseAddress(text string) (Address, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		switch {
		case path == "" || strings.HasPrefix(path, "@") || strings.ContainsRune(path, 0):
			return Address{}, fmt.Errorf("names no socket: write unix: and the path of a file")
		case len(path) > maxSocketPath:
			return Address{}, fmt.Errorf("is too long for a socket: its path may have %d bytes", maxSocketPath)
		}
		return Address{Network: "unix", Address: path}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return Address{}, fmt.Errorf("is no address: write host:port, such as %s, or unix:/path", defaultListen)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return Address{}, fmt.Errorf("has no valid port: write a number from 0 to 65535 after the colon")
	}
	return Address{Network: "tcp", Address: net.JoinHostPort(host, port)}, nil
}

// String returns the address as a configuration has it.
func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Address
	}
	return a.Address
}

// Loopback reports whether only this machine can reach a: a unix socket, a loopback
// address, or the name localhost. Any other name may resolve to anything.
func (a Address) Loopback() bool {
	if a.Network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(a.Address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	host, _, _ = strings.Cut(host, "%") // an IPv6 zone
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// relativeTo makes the path of a unix socket relative to dir.
func (a Address) relativeTo(dir string) Address {
	if a.Network == "unix" && !filepath.IsAbs(a.Address) {
		a.Address = filepath.Join(dir, a.Address)
	}
	return a
}
