package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// digest is what a request hashes to; everything in an answer that would be random at a
// real provider comes from it.
type digest [sha256.Size]byte

func digestOf(operation string, body []byte) digest {
	h := sha256.New()
	h.Write([]byte(operation))
	h.Write([]byte{0})
	h.Write(body)
	return digest(h.Sum(nil))
}

// id returns the n-th id that begins with prefix.
func (d digest) id(prefix string, n int) string {
	sum := sha256.Sum256([]byte(prefix + strconv.Itoa(n) + string(d[:])))
	return prefix + hex.EncodeToString(sum[:12])
}

// time returns when the answer was made, in seconds since 1970: some time in autumn 2026.
func (d digest) time() int64 {
	return 1_790_000_000 + int64(binary.BigEndian.Uint32(d[:])%5_000_000)
}

// uuid returns the n-th id in the form of a UUID.
func (d digest) uuid(n int) string {
	hex := d.id("", 2*n) + d.id("", 2*n+1)
	return hex[:8] + "-" + hex[8:12] + "-4" + hex[13:16] + "-8" + hex[17:20] + "-" + hex[20:32]
}
