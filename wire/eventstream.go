package wire

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A message of an AWS event stream, all numbers big-endian:
//
//	u32 length of all | u32 length of the headers | u32 CRC of these 8 bytes
//	headers | payload | u32 CRC of all before
const (
	preludeSize = 12 // to the first CRC, in bytes
	trailerSize = 4  // the second CRC
	// maxHeaders is far above what the headers of a message take, in bytes.
	maxHeaders = 128 << 10
)

// Why an EventStream has stopped reading. Whatever follows such bytes cannot be cut into
// messages any more.
var (
	ErrEventStreamChecksum = errors.New("event stream: a checksum does not match")
	ErrEventStreamLength   = errors.New("event stream: a length does not fit")
	ErrEventStreamHeader   = errors.New("event stream: a header is malformed")
)

// EventStream cuts an AWS event stream (application/vnd.amazon.eventstream) into frames,
// one per message. Both checksums, all lengths and all headers of a message are checked
// before it is handed over. The event is the header :event-type. An exception's is its
// :exception-type, or the :error-code of an unmodelled error, with [ExceptionPrefix] in
// front, so that it cannot be taken for an event.
//
// After a fault, which [EventStream.Err] tells, no frame follows. The frames do not
// depend on how the stream is cut into writes. A message that lies whole inside one write
// is not copied; others are collected in a buffer that is used again.
//
// An EventStream serves one goroutine at a time. [NewEventStream] makes one, as does
// Reset of a zero EventStream.
type EventStream struct {
	sink Sink
	max  int

	buffer []byte // the beginning of a message, as far as it has come
	skip   uint32 // bytes that are left of a message that is too large, its CRC aside
	sum    uint32 // the CRC of what has been skipped of it
	large  bool   // a message is being skipped

	oversized int
	err       error
}

// ExceptionPrefix precedes the type of an exception in [Frame].Event. No event's name
// has a space.
const ExceptionPrefix = "exception "

// NewEventStream returns an EventStream that hands the frames to sink. Messages of more
// than max bytes are skipped; 0 or less means 64 MiB. An EventStream needs about as much
// memory as the largest message, but little between messages.
func NewEventStream(sink Sink, max int) *EventStream {
	s := new(EventStream)
	s.Reset(sink, max)
	return s
}

// Reset makes s ready for another stream, as if it were new.
func (s *EventStream) Reset(sink Sink, max int) {
	if max <= 0 {
		max = defaultMaxData
	}
	*s = EventStream{sink: sink, max: max, buffer: emptied(s.buffer)}
}

// Oversized returns the number of messages that were skipped because they exceed max, or
// have more than 128 KiB of headers.
func (s *EventStream) Oversized() int { return s.oversized }

// Err returns why s has stopped reading, nil if it has not.
func (s *EventStream) Err() error { return s.err }

// Broken reports whether s has stopped reading.
func (s *EventStream) Broken() bool { return s.err != nil }

// Whole reports whether what was written ends where a message ends, so that another
// message may follow.
func (s *EventStream) Whole() bool { return s.err == nil && !s.large && len(s.buffer) == 0 }

// Write never fails. It does not keep p.
func (s *EventStream) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && s.err == nil {
		switch {
		case s.large:
			p = s.skipped(p)
		case len(s.buffer) == 0:
			p = s.whole(p)
		default:
			p = s.collect(p)
		}
	}
	if s.err != nil {
		s.buffer = nil
	}
	return n, nil
}

// whole reads a message that begins at p, and returns what is left of p. One that does
// not end in p goes to the buffer.
func (s *EventStream) whole(p []byte) []byte {
	if len(p) < preludeSize {
		s.buffer = append(s.buffer, p...)
		return nil
	}
	length, headers := s.prelude(p)
	switch {
	case s.err != nil:
		return nil
	case s.tooLarge(length, headers):
		return s.skipped(p)
	case uint32(len(p)) < length: // a length that was accepted fits an int
		s.buffer = appendWithin(s.buffer, p, s.max)
		return nil
	}
	s.message(p[:length], headers)
	return p[length:]
}

// collect adds to the message in the buffer what p has of it, and returns what is left.
func (s *EventStream) collect(p []byte) []byte {
	if missing := preludeSize - len(s.buffer); missing > 0 {
		n := min(missing, len(p))
		s.buffer = append(s.buffer, p[:n]...)
		if n < missing {
			return nil
		}
		p = p[n:]
		length, headers := s.prelude(s.buffer)
		if s.err != nil {
			return nil
		}
		if s.tooLarge(length, headers) {
			s.skipped(s.buffer)
			s.buffer = s.buffer[:0]
			return p
		}
	}
	length := int(binary.BigEndian.Uint32(s.buffer))
	n := min(length-len(s.buffer), len(p))
	s.buffer = appendWithin(s.buffer, p[:n], s.max)
	if len(s.buffer) == length {
		s.message(s.buffer, binary.BigEndian.Uint32(s.buffer[4:]))
		s.buffer = emptied(s.buffer)
	}
	return p[n:]
}

// prelude checks and returns the lengths that p begins with.
func (s *EventStream) prelude(p []byte) (length, headers uint32) {
	length, headers = binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
	switch {
	case crc32.ChecksumIEEE(p[:8]) != binary.BigEndian.Uint32(p[8:]):
		s.err = ErrEventStreamChecksum
	case length < preludeSize+trailerSize, headers > length-preludeSize-trailerSize:
		s.err = ErrEventStreamLength
	}
	return length, headers
}

// tooLarge begins to skip a message that exceeds a limit.
func (s *EventStream) tooLarge(length, headers uint32) bool {
	if uint64(length) <= uint64(s.max) && headers <= maxHeaders {
		return false
	}
	s.oversized++
	s.large, s.skip, s.sum = true, length-trailerSize, 0
	return true
}

// skipped skips what p has of a message that is too large, and returns what is left. Its
// checksum is checked as that of any other message: what follows is believed only then.
func (s *EventStream) skipped(p []byte) []byte {
	if s.skip > 0 {
		n := len(p)
		if uint64(n) > uint64(s.skip) {
			n = int(s.skip)
		}
		s.sum = crc32.Update(s.sum, crc32.IEEETable, p[:n])
		s.skip -= uint32(n)
		return p[n:]
	}
	// The checksum itself. It is collected in the buffer.
	n := min(trailerSize-len(s.buffer), len(p))
	s.buffer = append(s.buffer, p[:n]...)
	if len(s.buffer) == trailerSize {
		if binary.BigEndian.Uint32(s.buffer) != s.sum {
			s.err = ErrEventStreamChecksum
		}
		s.large, s.buffer = false, s.buffer[:0]
	}
	return p[n:]
}

// message checks a whole message and hands it over.
func (s *EventStream) message(m []byte, headers uint32) {
	body := m[:len(m)-trailerSize]
	if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(m[len(body):]) {
		s.err = ErrEventStreamChecksum
		return
	}
	payload := body[preludeSize+headers:]
	var kind, event, exception, code []byte
	for rest := body[preludeSize : preludeSize+headers]; len(rest) > 0; {
		name, value, size := header(rest)
		if size == 0 {
			s.err = ErrEventStreamHeader
			return
		}
		rest = rest[size:]
		switch string(name) {
		case ":message-type":
			kind = value
		case ":event-type":
			event = value
		case ":exception-type":
			exception = value
		case ":error-code":
			code = value
		}
	}
	switch {
	case string(kind) == "exception", string(kind) != "event" && exception != nil:
		event = append([]byte(ExceptionPrefix), exception...)
	case string(kind) == "error":
		event = append([]byte(ExceptionPrefix), code...)
	}
	s.sink.Frame(Frame{Event: event, Data: payload})
}

// header returns the header that p begins with and its size in bytes; 0 if it is
// malformed. The value of one that is no string is nil.
func header(p []byte) (name, value []byte, size int) {
	const stringType = 7
	n := int(p[0])
	at := 1 + n + 1 // of the value
	if len(p) < at {
		return nil, nil, 0
	}
	name, size = p[1:1+n], at
	switch kind := p[at-1]; kind {
	case 0, 1: // true and false have no value
	case 2:
		size++
	case 3:
		size += 2
	case 4:
		size += 4
	case 5, 8: // a number, a time
		size += 8
	case 9: // a UUID
		size += 16
	case 6, stringType:
		if len(p) < at+2 {
			return nil, nil, 0
		}
		size += 2 + int(binary.BigEndian.Uint16(p[at:]))
		if kind == stringType && size <= len(p) {
			value = p[at+2 : size]
		}
	default:
		return nil, nil, 0
	}
	if size > len(p) {
		return nil, nil, 0
	}
	return name, value, size
}

// emptied returns b without its bytes, and without its memory where that is much.
func emptied(b []byte) []byte {
	if cap(b) > keptBuffer {
		return nil
	}
	return b[:0]
}

// Header is a header of a message of an AWS event stream.
type Header struct {
	Name  string // at most 255 bytes
	Value string // at most 32,767 bytes
}

// AppendMessage appends a message of an AWS event stream to dst. Header names and values
// that are too long are cut.
func AppendMessage(dst []byte, headers []Header, payload []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, preludeSize)...)
	for _, h := range headers {
		name, value := h.Name[:min(len(h.Name), 1<<8-1)], h.Value[:min(len(h.Value), 1<<15-1)]
		dst = append(append(dst, byte(len(name))), name...)
		dst = append(dst, 7) // a string
		dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(value))), value...)
	}
	m := dst[start:]
	binary.BigEndian.PutUint32(m, uint32(len(m)+len(payload)+trailerSize))
	binary.BigEndian.PutUint32(m[4:], uint32(len(m)-preludeSize))
	binary.BigEndian.PutUint32(m[8:], crc32.ChecksumIEEE(m[:8]))
	dst = append(dst, payload...)
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
}
