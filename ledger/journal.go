package ledger

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Durability says what a record has to survive before it counts as kept.
type Durability string

// The durabilities.
const (
	// DurabilityWrite: the end of the process, whatever ends it. The operating system has
	// the record, and is asked to put it on the disk within 10 ms.
	DurabilityWrite Durability = "write"
	// DurabilityFsync: a power cut, too. Record waits until the disk has the record. So
	// does Begin: a call whose intent could be lost might be charged for by the provider
	// and leave nothing here.
	DurabilityFsync Durability = "fsync"
)

// Options are the settings of a [Journal]. The zero value is a good one.
type Options struct {
	Durability Durability // "" means DurabilityWrite

	// MaxBytes bounds the files of the journal; 0 means 1 GiB. Beyond it, and on a full
	// disk, Begin returns [ErrFull] and Record still has the room that was set aside for
	// it.
	MaxBytes int64

	// SegmentBytes is the size of one file, at least 256 KiB; 0 means 16 MiB. It is at
	// most 256 MiB, and a quarter of MaxBytes.
	SegmentBytes int64

	// PendingAge is for how long the usage of a background response is waited for; 0 means
	// 30 days, which is how long providers keep one. After that its cost state is
	// estimated.
	PendingAge time.Duration

	// Logger gets what went wrong and was overcome; nil means [slog.Default].
	Logger *slog.Logger
}

const (
	mib = 1 << 20
	gib = 1 << 30
)

func (o Options) withDefaults() (Options, error) {
	o.Durability = cmp.Or(o.Durability, DurabilityWrite)
	if o.Durability != DurabilityWrite && o.Durability != DurabilityFsync {
		return o, fmt.Errorf("ledger: unknown durability %q", string(o.Durability))
	}
	o.MaxBytes = cmp.Or(o.MaxBytes, gib)
	if o.MaxBytes < 4*smallestSegment {
		return o, fmt.Errorf("ledger: %d bytes are too few for a journal, the least is %d", o.MaxBytes, 4*smallestSegment)
	}
	o.SegmentBytes = max(min(cmp.Or(o.SegmentBytes, 16*mib), o.MaxBytes/4, 256*mib), smallestSegment)
	o.PendingAge = cmp.Or(o.PendingAge, 30*24*time.Hour)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

// Journal is a [llmproxy.Recorder] that keeps records in local files until a [Store] has
// them. Whichever process is killed when, an exchange that was let begin leaves one record:
// its own, or, where the process ended before the exchange did, one that says so. The store
// may be down for as long as MaxBytes lasts. Its methods may be called by many goroutines
// at once.
type Journal struct {
	o     Options
	store Store
	files files
	held  io.Closer // the lock on the directory

	mu          sync.Mutex // guards what follows, up to the blank line
	closed      bool
	old         []*segment // full, the oldest first
	active      *segment
	spare       []*segment // empty, in the order of their use
	lastNumber  uint64
	total       int64 // bytes of all segments
	noRoomUntil time.Time
	noRoom      error            // why no segment could be made last; nil after one that could
	open        map[string]place // intents without an end, by id
	written     uint64           // bytes since Open
	durable     uint64           // of them
	round       chan struct{}    // closed when durable or unsound changes
	unsound     error            // why the last group commit failed; nil after one that did not
	drained     position         // what is before it is in the store
	progress    chan struct{}    // closed when drained changes
	storeErr    error            // of the last attempt; nil after one that succeeded
	refused     int              // records that the store will not have
	background  background
	fresh       []fresh // records that the drain need not decode
	buffer      []byte  // for the next segment's unsynced bytes

	dirty, low, news, hurry chan struct{} // signals to the goroutines
	stop                    context.CancelFunc
	running                 sync.WaitGroup
	ended                   chan struct{} // closed when the goroutines have ended
	checkpoint              *checkpoint   // the drain's
	refusals                file          // likewise, nil where there are none
	refusalsEnd             int64
	mostRefused             int // of refused, so far
}

var _ llmproxy.Settler = (*Journal)(nil)

// errJournalClosed is what a closed journal says.
var errJournalClosed = errors.New("ledger: the journal is closed")

// buffers are for entries on their way.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2*reserve); return &b }}

// encode puts r into a pooled buffer as one entry. as is what is in it: r, or as much of r
// as an entry holds.
func encode(k kind, r *llmproxy.Record) (pooled *[]byte, as *llmproxy.Record) {
	pooled, as = buffers.Get().(*[]byte), r
	b := r.AppendJSON((*pooled)[:entryHead])
	for most := 1 << 10; len(b)-entryHead > maxPayload; most /= 4 {
		as = shorten(r, most)
		b = as.AppendJSON(b[:entryHead])
	}
	seal(b, k)
	*pooled = b
	return pooled, as
}

// Begin notes that an exchange is about to reach a provider, and sets room aside for its
// record. The error is [ErrFull] where there is none.
func (j *Journal) Begin(ctx context.Context, r *llmproxy.Record) error {
	pooled, r := encode(kindIntent, r)
	defer buffers.Put(pooled)
	b := *pooled
	j.mu.Lock()
	seq, err := j.begin(r.ID, b)
	j.mu.Unlock()
	if err != nil || seq == 0 || j.o.Durability != DurabilityFsync {
		return err
	}
	return j.await(ctx, seq)
}

// begin writes an intent. seq is what [Journal.await] waits for; 0 where there is nothing to
// wait for. j.mu is held.
func (j *Journal) begin(id string, b []byte) (seq uint64, err error) {
	switch {
	case j.closed:
		return 0, errJournalClosed
	case j.unsound != nil && j.o.Durability == DurabilityFsync:
		return 0, j.unsound
	}
	if _, known := j.open[id]; known {
		return j.written, nil
	}
	if err := j.makeRoom(int64(len(b)) + reserve); err != nil {
		return 0, err
	}
	at, err := j.write(b)
	if err != nil {
		return 0, err
	}
	j.enter(id, at)
	return j.written, nil
}

// Record keeps r before it returns: in the journal or, where that fails, in the store
// itself. An error means that neither has it for certain; where the exchange had begun, the
// next Open makes a record of its intent if there is no other.
func (j *Journal) Record(ctx context.Context, r *llmproxy.Record) error {
	pooled, r := encode(kindRecord, r)
	defer buffers.Put(pooled)
	err := j.keep(ctx, r, *pooled)
	if err == nil || errors.Is(err, errJournalClosed) {
		return err
	}
	if serr := j.store.Append(ctx, []llmproxy.Record{*r}); serr != nil {
		return errors.Join(err, serr)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.leave(r.ID)
	if r.Revision > 0 {
		delete(j.background.pending, keyOf(r))
	}
	return nil
}

// keep writes b, which is r as an entry, and waits as long as the durability asks for.
func (j *Journal) keep(ctx context.Context, r *llmproxy.Record, b []byte) error {
	j.mu.Lock()
	seq, err := j.end(r, b)
	j.mu.Unlock()
	if err != nil || j.o.Durability != DurabilityFsync {
		return err
	}
	return j.await(ctx, seq)
}

// end writes a record. j.mu is held.
func (j *Journal) end(r *llmproxy.Record, b []byte) (seq uint64, err error) {
	if j.closed {
		return 0, errJournalClosed
	}
	if _, begun := j.open[r.ID]; !begun {
		// Its own room only: what is reserved belongs to exchanges that have begun.
		if err := j.makeRoom(int64(len(b))); err != nil {
			return 0, err
		}
	}
	at, err := j.write(b)
	if err != nil {
		return 0, err
	}
	j.leave(r.ID)
	j.background.note(r)
	if len(j.fresh) < mostFresh && !bytes.Contains(b, []byte("\uFFFD")) {
		j.fresh = append(j.fresh, fresh{at, *asDecoded(r)})
	}
	j.wake(j.news)
	return j.written, nil
}

// shorten returns r with its texts cut to most bytes and its lists to eight: what a client
// chose, which is what can make a record long, among them.
func shorten(r *llmproxy.Record, most int) *llmproxy.Record {
	cut := func(s string) string {
		if len(s) > most {
			return s[:most] + "…"
		}
		return s
	}
	c := clone(r)
	for _, s := range []*string{
		&c.ID, &c.Provider, &c.ModelRequested, &c.ModelAsked, &c.Model, &c.ResponseID, &c.ProviderRequestID,
		&c.FinishReason, &c.ServiceTier, &c.Speed, &c.Region, &c.PriceVersion, &c.Key, &c.ConnectionID, &c.Lane,
	} {
		*s = cut(*s)
	}
	if c.Error != nil {
		c.Error.Type, c.Error.Code, c.Error.Message = cut(c.Error.Type), cut(c.Error.Code), cut(c.Error.Message)
	}
	room := 8 * most
	for name, value := range c.Tags {
		if room -= len(name) + len(value); room < 0 {
			delete(c.Tags, name)
		}
	}
	c.Items = c.Items[:min(len(c.Items), 8)]
	for i := range c.Items {
		c.Items[i].Model = cut(c.Items[i].Model)
	}
	c.Attempts = c.Attempts[:min(len(c.Attempts), 8)]
	for i := range c.Attempts {
		a := &c.Attempts[i]
		a.Provider, a.Model, a.Error = cut(a.Provider), cut(a.Model), cut(a.Error)
	}
	return c
}

// Stats is what a journal holds at one moment.
type Stats struct {
	Bytes    int64 // of all files, what is set aside included
	Segments int
	Open     int    // exchanges that have begun and not ended
	Written  uint64 // bytes of entries since Open
	Refused  int    // records that the store will not have, and that are kept beside it
	// Behind says that there is something that the store does not have yet, and StoreErr
	// why the last attempt failed; nil if it did not.
	Behind   bool
	StoreErr error
	// Unsound is why the last group commit failed; nil if it did not.
	Unsound error
}

// Stats returns what the journal holds.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Stats{
		Bytes: j.total, Segments: len(j.old) + 1 + len(j.spare), Open: len(j.open), Written: j.written,
		Refused: j.refused, Behind: j.drained.before(j.tail()), StoreErr: j.storeErr, Unsound: j.unsound,
	}
}

// tail is where the next entry goes. j.mu is held.
func (j *Journal) tail() position { return position{j.active.number, j.active.end} }
