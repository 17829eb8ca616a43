package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A segment is a header and then entries. An entry is the length of its payload (4 bytes,
// little end first), a checksum (4 bytes: CRC-32C of the length, the kind and the
// payload), its kind (1 byte) and the payload, which is a JSON object. Zeros after the last entry
// are space that was allocated and not used.
//
// A length has a zero byte and JSON has none: what a client put into a record is never
// taken for an entry, wherever reading starts.
const (
	segmentHeader = "llmpj01\n"
	entryHead     = 9
	maxPayload    = 64 << 10 // a record that would be longer is shortened
)

// kind says what an entry is. Those that this version does not know are skipped.
type kind byte

const (
	kindIntent     kind = 1 // a record of an exchange that has not ended
	kindRecord     kind = 2
	kindSettlement kind = 3 // a record that shows what a pending response has used; see Settle
)

// entry is one entry where it was found.
type entry struct {
	kind    kind
	payload []byte
	off     int64 // in its segment
}

// size is how long e is in its segment.
func (e *entry) size() int64 { return entryHead + int64(len(e.payload)) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal fills in the head of an entry: its first entryHead bytes were left free.
func seal(b []byte, k kind) {
	binary.LittleEndian.PutUint32(b, uint32(len(b)-entryHead))
	b[8] = byte(k)
	binary.LittleEndian.PutUint32(b[4:], checksum(b))
}

// checksum is over the entry b but for the checksum itself.
func checksum(b []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, b[:4]), castagnoli, b[8:])
}

// entryAt returns the entry that b begins with.
func entryAt(b []byte) (e entry, ok bool) {
	if len(b) <= entryHead {
		return entry{}, false
	}
	n := binary.LittleEndian.Uint32(b)
	if n == 0 || n > maxPayload || int(n) > len(b)-entryHead || b[8] == 0 {
		return entry{}, false
	}
	b = b[:entryHead+n]
	if b[entryHead] != '{' || b[len(b)-1] != '}' {
		return entry{}, false // cheap, where a long damage is looked through
	}
	if binary.LittleEndian.Uint32(b[4:]) != checksum(b) {
		return entry{}, false
	}
	return entry{kind: kind(b[8]), payload: b[entryHead:]}, true
}

// scan calls yield with the entries of b, which is at off in its segment, until yield
// returns false. Where an entry is damaged it goes on at the next one whose checksum holds;
// damaged counts such places. end is where the last entry that was yielded ends: what
// follows is torn, or not used.
func scan(b []byte, off int64, yield func(entry) bool) (end int64, damaged int) {
	at, bad := 0, false
	if off == 0 && bytes.HasPrefix(b, []byte(segmentHeader)) {
		at = len(segmentHeader)
	}
	end = off + int64(at)
	b = bytes.TrimRight(b, "\x00")
	for at < len(b) {
		e, ok := entryAt(b[at:])
		if !ok {
			bad = true
			at++
			continue
		}
		if bad {
			bad = false
			damaged++
		}
		e.off = off + int64(at)
		at += int(e.size())
		end = off + int64(at)
		if !yield(e) {
			break
		}
	}
	return end, damaged
}

// errVersion means that a segment is a later version's.
var errVersion = errors.New("written by a later version")

// checkHeader looks at the beginning of a segment. One that never got its header, or whose
// header is damaged, is fine: entries are found without it.
func checkHeader(b []byte) error {
	const name = "llmpj"
	if len(b) < len(segmentHeader) || string(b[:len(name)]) != name || string(b[:len(segmentHeader)]) == segmentHeader {
		return nil
	}
	if v := b[len(name):len(segmentHeader)]; v[2] == '\n' && '0' <= v[0] && v[0] <= '9' && '0' <= v[1] && v[1] <= '9' && string(v) != "00\n" {
		return errVersion
	}
	return nil
}

// idOf returns the id of a record as it was encoded: it comes first. ok is false where
// that takes a decoder.
func idOf(payload []byte) (id []byte, ok bool) {
	rest, ok := bytes.CutPrefix(payload, []byte(`{"id":"`))
	if !ok {
		return nil, false
	}
	id, _, ok = bytes.Cut(rest, []byte{'"'})
	return id, ok && bytes.IndexByte(id, '\\') < 0
}
