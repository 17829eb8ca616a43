package ledger

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/llmproxy/llmproxy"
)

// found is an entry as a text, to compare.
func found(b []byte) (list []string) {
	scan(b, 0, func(e entry) bool {
		list = append(list, fmt.Sprintf("%d@%d %s", e.kind, e.off, e.payload))
		return true
	})
	return list
}

// sampleSegment is a small segment with space left at its end.
func sampleSegment() []byte {
	b := []byte(segmentHeader)
	add := func(k kind, r *llmproxy.Record) {
		pooled, _ := encode(k, r)
		b = append(b, *pooled...)
		buffers.Put(pooled)
	}
	add(kindIntent, intent("01KAV6TC00A"))
	add(kindIntent, intent("01KAV6TC00B"))
	add(kindRecord, record("01KAV6TC00A"))
	add(99, record("01KAV6TC00C"))
	add(kindSettlement, record("01KAV6TC00D"))
	return append(b, make([]byte, 50)...)
}

// Any truncation of a segment yields a prefix of its entries: all that are whole.
func TestTruncation(t *testing.T) {
	t.Parallel()
	whole := sampleSegment()
	all := found(whole)
	if len(all) != 5 {
		t.Fatalf("%d entries", len(all))
	}
	for n := range whole {
		got := found(whole[:n])
		want := 0
		scan(whole, 0, func(e entry) bool {
			if e.off+e.size() <= int64(n) {
				want++
			}
			return true
		})
		if !slices.Equal(got, all[:want]) {
			t.Fatalf("cut at %d: got %q, want the first %d", n, got, want)
		}
	}
}

// A flipped bit costs the entry that it is in, and never yields one that was not written.
func TestFlippedBit(t *testing.T) {
	t.Parallel()
	whole := sampleSegment()
	all := found(whole)
	for n := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[n] ^= 1 << bit
			got := found(b)
			lost := 0
			for i, j := 0, 0; j < len(all); j++ {
				if i < len(got) && got[i] == all[j] {
					i++
				} else {
					lost++
				}
				if j == len(all)-1 && i != len(got) {
					t.Fatalf("bit %d of byte %d: got what was not written: %q", bit, n, got)
				}
			}
			if lost > 1 {
				t.Fatalf("bit %d of byte %d: %d entries are lost", bit, n, lost)
			}
		}
	}
}

// Nothing that a client puts into a record is taken for an entry, even when reading starts
// in the midst of it.
func TestForgery(t *testing.T) {
	t.Parallel()
	inner, _ := encode(kindRecord, record("forged"))
	r := record("real")
	r.ModelRequested = string(*inner)
	outer, _ := encode(kindRecord, r)
	for n := range *outer {
		for _, f := range found((*outer)[n:]) {
			if n > 0 {
				t.Errorf("from %d on: %q", n, f)
			}
		}
	}
}

// Any bytes are read without a panic; entries do not overlap, come in order, and are what
// was there.
func FuzzScan(f *testing.F) {
	whole := sampleSegment()
	f.Add(whole, uint16(0), byte(0))
	f.Add(whole[:300], uint16(20), byte(3))
	f.Add([]byte(segmentHeader), uint16(0), byte(1))
	f.Add([]byte{}, uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, b []byte, at uint16, flip byte) {
		next := int64(0)
		end, _ := scan(b, 0, func(e entry) bool {
			if e.off < next || len(e.payload) == 0 || len(e.payload) > maxPayload {
				t.Fatalf("an entry of %d bytes at %d, after one that ends at %d", len(e.payload), e.off, next)
			}
			next = e.off + e.size()
			again, ok := entryAt(b[e.off:])
			if !ok || !bytes.Equal(again.payload, e.payload) || again.kind != e.kind {
				t.Fatalf("the entry at %d reads differently alone", e.off)
			}
			_, _ = idOf(e.payload)
			return true
		})
		if end < next || end > int64(len(b)) {
			t.Fatalf("the end is %d, of %d bytes with entries up to %d", end, len(b), next)
		}
		// What is truncated has a prefix of the entries.
		all := found(b)
		cut := found(b[:int(at)%(len(b)+1)])
		if len(cut) > len(all) || !slices.Equal(cut, all[:len(cut)]) {
			t.Fatalf("cut: %q is no prefix of %q", cut, all)
		}
		// Entries around damage of our own stay, and none comes to it.
		segment := bytes.Clone(whole)
		i := int(at) % len(segment)
		segment[i] ^= flip
		for _, e := range found(segment) {
			if !slices.Contains(found(whole), e) {
				t.Fatalf("byte %d changed by %#x: %q was not written", i, flip, e)
			}
		}
	})
}

// A checkpoint is read as it was last written, whatever became of the other slot.
func TestCheckpoint(t *testing.T) {
	t.Parallel()
	d := newDisk()
	c, p, err := openCheckpoint(d)
	if err != nil || p != (position{}) {
		t.Fatal(p, err)
	}
	for n := int64(1); n <= 5; n++ {
		if err := c.write(position{uint64(n), 10 * n}); err != nil {
			t.Fatal(err)
		}
		if _, p, err = openCheckpoint(d); err != nil || p != (position{uint64(n), 10 * n}) {
			t.Fatalf("after %d: %v, %v", n, p, err)
		}
	}
	b := d.now[checkpointName].now
	b[slotSize+3] ^= 1 // the fifth is in the second slot
	if _, p, err = openCheckpoint(d); err != nil || p != (position{4, 40}) {
		t.Errorf("with the newest damaged: %v, %v", p, err)
	}
	b[3] ^= 1
	if _, p, err = openCheckpoint(d); err != nil || p != (position{}) {
		t.Errorf("with both damaged: %v, %v", p, err)
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add(make([]byte, 2*slotSize))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		turn, p, err := readCheckpoint(bytes.NewReader(b))
		if err != nil || turn == 0 && p != (position{}) {
			t.Fatal(turn, p, err)
		}
		// Whatever was there, what is written next is what is read.
		d := newDisk()
		d.now[checkpointName] = &content{now: bytes.Clone(b)}
		c, _, err := openCheckpoint(d)
		if err != nil {
			t.Fatal(err)
		}
		if c.turn == 1<<64-1 {
			return // there is no next
		}
		if err := c.write(position{3, 4}); err != nil {
			t.Fatal(err)
		}
		if _, p, err = openCheckpoint(d); err != nil || p != (position{3, 4}) {
			t.Fatal(p, err)
		}
	})
}
