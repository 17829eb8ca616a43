package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"strings"
)

// Secret is what a client sends to be known by. Formatting shows its prefix alone; to show
// it, once, convert it to a string.
//
// It is llmp_, 43 random letters and digits (256 bits), and six more that are the CRC-32
// of those before them, prefix included: scanners of source code find it, and a typo is
// told from a key that is not known.
type Secret string

const (
	secretPrefix = "llmp_"
	randomLength = 43 // 62^43 > 2^256
	checkLength  = 6  // 62^6 > 2^32
	secretLength = len(secretPrefix) + randomLength + checkLength
)

// digits are those of base 62.
const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// String returns the prefix of all secrets.
func (Secret) String() string { return secretPrefix + "…" }

// GoString returns the same.
func (s Secret) GoString() string { return s.String() }

// NewSecret returns a secret that nobody can guess.
func NewSecret() Secret {
	text := []byte(secretPrefix)
	var random [64]byte
	for {
		_, _ = rand.Read(random[:]) // never fails
		for _, b := range random {
			// Of a byte's 256 values 248 are a multiple of 62: with the rest, some digits
			// would be likelier than others.
			if b >= 248 {
				continue
			}
			if text = append(text, digits[b%62]); len(text) == len(secretPrefix)+randomLength {
				return Secret(text) + Secret(check(text))
			}
		}
	}
}

// check returns the last six characters of a secret that begins with text.
func check(text []byte) string {
	sum := crc32.ChecksumIEEE(text)
	var c [checkLength]byte
	for i := checkLength - 1; i >= 0; i-- {
		c[i] = digits[sum%62]
		sum /= 62
	}
	return string(c[:])
}

// Why a text is no secret.
var (
	ErrNotSecret = errors.New("not a gateway key")
	ErrMistyped  = errors.New("a gateway key with a wrong checksum")
)

// ParseSecret returns text as a secret; ErrMistyped where it looks like one, but has been
// cut or changed, and ErrNotSecret where it does not.
func ParseSecret(text string) (Secret, error) {
	if !strings.HasPrefix(text, secretPrefix) {
		return "", ErrNotSecret
	}
	if len(text) != secretLength || check([]byte(text[:secretLength-checkLength])) != text[secretLength-checkLength:] {
		return "", ErrMistyped
	}
	for _, c := range []byte(text[len(secretPrefix):]) {
		if strings.IndexByte(digits, c) < 0 {
			return "", ErrMistyped
		}
	}
	return Secret(text), nil
}

// Hash is the SHA-256 of a secret. A slow hash would protect what can be guessed, such as
// passwords; of 256 random bits nobody gets through a noticeable part, and every request
// would have to wait for it.
type Hash [sha256.Size]byte

// Hash returns the hash of s.
func (s Secret) Hash() Hash { return sha256.Sum256([]byte(s)) }
