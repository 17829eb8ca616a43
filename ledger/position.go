package ledger

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// position is a place in the journal.
type position struct {
	segment uint64
	off     int64
}

func (p position) before(q position) bool {
	return p.segment < q.segment || p.segment == q.segment && p.off < q.off
}

// A checkpoint is a file that says up to where the store has the journal. It has two slots
// and writes them in turns, so that one is whole at any moment. It is never synced: one that
// is too old only has records appended again that the store then skips.
type checkpoint struct {
	file file
	turn uint64 // of the last write
}

const (
	checkpointName = "drained"
	slotSize       = 32 // turn, segment, offset, CRC-32C, 4 bytes that are 0
)

// openCheckpoint opens the checkpoint of a journal, or makes it.
func openCheckpoint(d files) (*checkpoint, position, error) {
	f, err := d.open(checkpointName)
	if err != nil {
		if f, err = d.create(checkpointName); err == nil {
			err = f.allocate(2 * slotSize)
		}
	}
	if err != nil {
		return nil, position{}, fmt.Errorf("ledger: checkpoint: %w", err)
	}
	turn, p, err := readCheckpoint(f)
	if err != nil {
		_ = f.Close()
		return nil, position{}, err
	}
	return &checkpoint{file: f, turn: turn}, p, nil
}

// readCheckpoint returns the newest position in f; the beginning where there is none.
func readCheckpoint(f io.ReaderAt) (turn uint64, p position, err error) {
	var b [2 * slotSize]byte
	if n, err := f.ReadAt(b[:], 0); err != nil && err != io.EOF {
		return 0, position{}, fmt.Errorf("ledger: checkpoint: %w", err)
	} else if n < len(b) {
		clear(b[n:])
	}
	for slot := b[:]; len(slot) > 0; slot = slot[slotSize:] {
		n := binary.LittleEndian.Uint64(slot)
		if n <= turn || binary.LittleEndian.Uint32(slot[24:]) != crc32.Checksum(slot[:24], castagnoli) {
			continue
		}
		turn = n
		p = position{binary.LittleEndian.Uint64(slot[8:]), int64(binary.LittleEndian.Uint64(slot[16:]))}
	}
	return turn, p, nil
}

// write puts p down.
func (c *checkpoint) write(p position) error {
	c.turn++
	var b [slotSize]byte
	binary.LittleEndian.PutUint64(b[:], c.turn)
	binary.LittleEndian.PutUint64(b[8:], p.segment)
	binary.LittleEndian.PutUint64(b[16:], uint64(p.off))
	binary.LittleEndian.PutUint32(b[24:], crc32.Checksum(b[:24], castagnoli))
	if _, err := c.file.WriteAt(b[:], int64(c.turn%2)*slotSize); err != nil {
		return fmt.Errorf("ledger: checkpoint: %w", err)
	}
	return nil
}
