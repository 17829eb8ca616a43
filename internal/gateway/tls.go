package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// TLS names the files with which the data listener speaks TLS, both in PEM form. Its zero
// value is none: the listener speaks in the clear.
type TLS struct {
	Cert string `yaml:"cert"` // the certificate, and those between it and its authority
	Key  string `yaml:"key"`  // its private key, not encrypted
}

// relativeTo makes the files relative to dir.
func (t TLS) relativeTo(dir string) TLS {
	for _, name := range []*string{&t.Cert, &t.Key} {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(dir, *name)
		}
	}
	return t
}

// A tlsFault is what is wrong with one of the files. It holds nothing of what is in them.
type tlsFault struct {
	key     string // "cert" or "key"
	problem string // reads on from the key
}

func (f *tlsFault) Error() string { return "tls." + f.key + ": " + f.problem }

// load reads the files. The error is a *tlsFault.
func (t TLS) load() (tls.Certificate, error) {
	cert, err := readPEM("cert", t.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readPEM("key", t.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if block := findPEM(cert, "CERTIFICATE"); block == nil {
		return tls.Certificate{}, &tlsFault{"cert", "the file holds no certificate in PEM form"}
	} else if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return tls.Certificate{}, &tlsFault{"cert", "the file's certificate is malformed"}
	}
	switch block := findPEM(key, "PRIVATE KEY"); {
	case block == nil:
		return tls.Certificate{}, &tlsFault{"key", "the file holds no private key in PEM form"}
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["Proc-Type"] != "":
		return tls.Certificate{}, &tlsFault{"key", "the private key is encrypted; want it in the clear, in a file that only the gateway can read"}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, &tlsFault{"key", "the file's key is not that of the certificate in cert"}
	}
	return pair, nil
}

func readPEM(key, name string) ([]byte, error) {
	if name == "" {
		return nil, &tlsFault{key, "missing; TLS needs cert and key"}
	}
	text, err := readFile(name)
	if err != nil {
		return nil, &tlsFault{key, "the file cannot be read: " + reason(err)}
	}
	return text, nil
}

// findPEM returns the first block of text whose type ends with kind; nil if there is none.
func findPEM(text []byte, kind string) *pem.Block {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil || strings.HasSuffix(block.Type, kind) {
			return block
		}
	}
}

// validateTLS notes what is wrong with the files, and warns of a certificate that no
// client will take now.
func (c *Config) validateTLS(d *decoder) {
	if _, written := d.values["tls"]; !written || d.faultyBelow("tls") {
		return
	}
	pair, err := c.TLS.load()
	if f, ok := errors.AsType[*tlsFault](err); ok {
		at := "tls." + f.key
		d.fault(at, d.at(at), "%s: %s", at, f.problem)
		return
	}
	from, to, now := pair.Leaf.NotBefore, pair.Leaf.NotAfter, time.Now()
	if now.Before(from) || now.After(to) {
		at := d.at("tls.cert")
		c.Warnings = append(c.Warnings, Fault{
			File: d.file, Line: at.line, Column: at.column, Source: at.source,
			Message: fmt.Sprintf("tls.cert: the certificate is good from %s to %s only", from.Format(time.DateOnly), to.Format(time.DateOnly)),
		})
	}
}
