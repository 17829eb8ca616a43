package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A segment is one file of the journal. The disk space for all of it is taken when it is
// made, so that what was promised room is sure to have it.
type segment struct {
	number uint64
	file   file
	size   int64 // allocated
	end    int64 // of what has been written
	synced int64 // the end of what is known to be durable
	// unsynced are the bytes from synced to end, to be written elsewhere if they cannot be
	// made durable here.
	unsynced []byte
	open     int  // intents here whose exchange has not ended
	failed   bool // a sync of it has; the committing goroutine's
}

const segmentSuffix = ".segment"

func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, segmentSuffix) }

// segmentNumber is the reverse of segmentName.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	return n, err == nil && segmentName(n) == name
}

// place is where an entry is.
type place struct {
	segment uint64
	off     int64
	size    int32
}

// ErrFull means that the journal has reached its bound, or that the disk is full.
var ErrFull = errors.New("ledger: no room for records")

const (
	// reserve is the room that each exchange that has begun is sure to find for its
	// record. A record is some 700 bytes; a longer one takes what others left.
	reserve = 2 << 10
	// smallestSegment is how far a segment may shrink to fit on what is left of a disk.
	smallestSegment = 256 << 10
	// noRoomPause is how long nothing is tried after a disk was found full.
	noRoomPause = time.Second
)

// free returns the room for entries that is allocated, each segment's last bit left out: an
// entry does not cross over to the next one.
func (j *Journal) free() int64 {
	n := max(j.active.size-j.active.end-reserve, 0)
	for _, s := range j.spare {
		n += s.size - int64(len(segmentHeader)) - reserve
	}
	return n
}

// reserved returns the room that is promised to exchanges that have begun.
func (j *Journal) reserved() int64 { return int64(len(j.open)) * reserve }

// makeRoom sees to it that n bytes are free beyond what is reserved. The error wraps
// [ErrFull]. j.mu is held.
func (j *Journal) makeRoom(n int64) error {
	for j.free()-j.reserved() < n {
		if err := j.allocate(); err != nil {
			return err
		}
	}
	return nil
}

// allocate adds a spare segment. j.mu is held.
func (j *Journal) allocate() error {
	now := time.Now()
	if now.Before(j.noRoomUntil) {
		return ErrFull
	}
	size := j.o.SegmentBytes
	if j.total+size > j.o.MaxBytes {
		return ErrFull // the drain makes room, at any moment
	}
	s, err := j.newSegment(j.lastNumber+1, size)
	j.tried(err)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	j.lastNumber = s.number
	j.spare = append(j.spare, s)
	j.total += s.size
	return nil
}

// tried notes how an attempt to make a segment has ended, and has keepRoom tell of it if that
// is news. j.mu is held.
func (j *Journal) tried(err error) {
	if (err == nil) != (j.noRoom == nil) {
		j.wake(j.low)
	}
	if j.noRoom = err; err != nil {
		j.noRoomUntil = time.Now().Add(noRoomPause)
	}
}

// newSegment makes a segment of size bytes, or of as much as the disk still has.
func (j *Journal) newSegment(number uint64, size int64) (*segment, error) {
	name := segmentName(number)
	f, err := j.files.create(name)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	err = f.allocate(size)
	for err != nil && size/2 >= smallestSegment {
		size /= 2
		if err = f.Truncate(0); err == nil {
			err = f.allocate(size)
		}
	}
	if err == nil {
		_, err = f.WriteAt([]byte(segmentHeader), 0)
	}
	if err == nil {
		err = j.files.sync()
	}
	if err != nil {
		_ = f.Close()
		_ = j.files.remove(name)
		return nil, fmt.Errorf("ledger: new segment: %w", err)
	}
	head := int64(len(segmentHeader))
	return &segment{number: number, file: f, size: size, end: head, synced: head}, nil
}

// rotate makes the next segment the active one. j.mu is held.
func (j *Journal) rotate() error {
	if len(j.spare) == 0 {
		if err := j.allocate(); err != nil {
			return err
		}
	}
	s := j.active
	// What was allocated and not used goes back; if not now, with the file.
	if err := s.file.Truncate(s.end); err == nil {
		j.total -= s.size - s.end
		s.size = s.end
	}
	j.old = append(j.old, s)
	j.active, j.spare = j.spare[0], j.spare[1:]
	j.active.unsynced, j.buffer = j.buffer, nil
	return nil
}

// write writes one or more entries to the active segment, or to the next one. j.mu is
// held. What could not be written whole is overwritten, or torn.
func (j *Journal) write(b []byte) (place, error) {
	if j.active.end+int64(len(b)) > j.active.size {
		if err := j.rotate(); err != nil {
			return place{}, err
		}
	}
	if _, err := j.active.file.WriteAt(b, j.active.end); err != nil {
		// Another file may lie better.
		if rerr := j.rotate(); rerr != nil {
			return place{}, fmt.Errorf("ledger: %w", err)
		}
		if _, err := j.active.file.WriteAt(b, j.active.end); err != nil {
			return place{}, fmt.Errorf("ledger: %w", err)
		}
	}
	s := j.active
	at := place{s.number, s.end, int32(len(b))}
	s.end += int64(len(b))
	s.unsynced = append(s.unsynced, b...)
	j.written += uint64(len(b))
	j.wake(j.dirty)
	if s.size-s.end < s.size/2 && len(j.spare) == 0 {
		j.wake(j.low)
	}
	return at, nil
}

// wake sends a signal that may be there already.
func (*Journal) wake(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// segment returns the live segment of a number, nil if it has gone. j.mu is held.
func (j *Journal) segment(number uint64) *segment {
	if j.active.number == number {
		return j.active
	}
	for _, s := range slices.Backward(j.old) { // most are young
		if s.number == number {
			return s
		}
	}
	return nil
}

// enter notes that the intent of an exchange is at p. j.mu is held.
func (j *Journal) enter(id string, p place) {
	j.leave(id)
	j.open[id] = p
	if s := j.segment(p.segment); s != nil {
		s.open++
	}
}

// leave notes that the exchange has ended. j.mu is held.
func (j *Journal) leave(id string) {
	p, ok := j.open[id]
	if !ok {
		return
	}
	delete(j.open, id)
	if s := j.segment(p.segment); s != nil {
		s.open--
	}
}
