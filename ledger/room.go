package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// keepRoom allocates the next segment before it is needed, off the path of exchanges, and
// tells of it when the disk gets full, and when it is no longer.
func (j *Journal) keepRoom(ctx context.Context) {
	told := false
	for {
		select {
		case <-j.low:
		case <-ctx.Done():
			return
		}
		noRoom := j.addRoom()
		switch {
		case noRoom != nil && !told:
			j.o.Logger.Warn("the ledger's journal gets no further room", "error", noRoom)
		case noRoom == nil && told:
			j.o.Logger.Info("the ledger's journal gets room again")
		}
		told = noRoom != nil
	}
}

// addRoom makes a spare segment where there is none, unless the disk was full a moment ago.
// The error is that of the last attempt, which may be another's.
func (j *Journal) addRoom() (noRoom error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	number, size := j.lastNumber+1, j.o.SegmentBytes
	switch {
	case j.closed, time.Now().Before(j.noRoomUntil), j.total+size > j.o.MaxBytes, len(j.spare) > 0 && !j.short():
		return j.noRoom
	}
	j.lastNumber = number
	j.total += size
	j.mu.Unlock()
	s, err := j.newSegment(number, size)
	j.mu.Lock()
	j.total -= size
	j.tried(err)
	if err == nil {
		j.addSpare(s)
	}
	return err
}

// least is the room that an exchange needs to begin: for its intent and its record.
const least = 2 * reserve

// short reports whether an exchange finds no room in what is allocated. j.mu is held.
func (j *Journal) short() bool { return j.free()-j.reserved() < least }

// Ready returns why Begin would refuse an exchange now: an error that is [ErrFull] or
// [ErrNotDurable], or of a journal that is closed; nil where it would not. It is cheap and
// waits for no disk, so that a readiness probe may call it at any rate. Once the disk was
// full it takes a segment's room to be ready again, which Ready has looked for.
func (j *Journal) Ready() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return errJournalClosed
	case j.unsound != nil && j.o.Durability == DurabilityFsync:
		return j.unsound
	case !j.short():
		return nil
	case j.total+j.o.SegmentBytes > j.o.MaxBytes:
		return ErrFull
	case j.noRoom != nil:
		j.wake(j.low)
		return fmt.Errorf("%w: %w", ErrFull, j.noRoom)
	}
	return nil
}

// addSpare puts s among the spare segments, in order. j.mu is held.
func (j *Journal) addSpare(s *segment) {
	if s.number < j.active.number {
		_ = s.file.Close() // its turn is over
		_ = j.files.remove(segmentName(s.number))
		return
	}
	at, _ := slices.BinarySearchFunc(j.spare, s, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	j.spare = slices.Insert(j.spare, at, s)
	j.total += s.size
}
