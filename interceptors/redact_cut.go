package interceptors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"github.com/llmproxy/llmproxy/wire"
)

// frame is a unit of an answer that is sent on as a whole.
type frame struct {
	raw  []byte // as it came
	data []byte // the JSON in it; nil where there is none

	lines []wire.Span // of server-sent events: the values of the data lines
}

// cutter cuts an answer into frames, and puts changed ones together again.
type cutter interface {
	// cut returns the frames that piece completes, in memory of their own.
	cut(piece []byte) ([]frame, error)
	// rest returns what is left at the end.
	rest() ([]frame, error)
	// put returns f with other data.
	put(f *frame, data []byte) []byte
}

var (
	errFrameTooLarge = errors.New("redact: the answer, or an event of it, is larger than the limit")
	errFrameBroken   = errors.New("redact: the event stream is damaged")
)

// wholePieces is the cutter of a WebSocket, where each piece is a message.
type wholePieces struct{}

func (wholePieces) cut(piece []byte) ([]frame, error) {
	p := slices.Clone(piece)
	return []frame{{raw: p, data: p}}, nil
}

func (wholePieces) rest() ([]frame, error)           { return nil, nil }
func (wholePieces) put(_ *frame, data []byte) []byte { return data }

// bodyCutter is the cutter of one JSON document.
type bodyCutter struct {
	limit int
	body  []byte
}

func (c *bodyCutter) cut(piece []byte) ([]frame, error) {
	if len(piece) > c.limit-len(c.body) {
		return nil, errFrameTooLarge
	}
	c.body = append(c.body, piece...)
	return nil, nil
}

func (c *bodyCutter) rest() ([]frame, error) {
	if len(c.body) == 0 {
		return nil, nil
	}
	return []frame{{raw: c.body, data: c.body}}, nil
}

func (c *bodyCutter) put(_ *frame, data []byte) []byte { return data }

// sseCutter is the cutter of server-sent events.
type sseCutter struct {
	limit int
	split wire.Splitter
	event []byte // in progress
	begun bool   // the first event has been cut
}

func (c *sseCutter) cut(piece []byte) (frames []frame, err error) {
	for len(piece) > 0 {
		n, ended := c.split.Next(piece)
		if n > c.limit-len(c.event) {
			return frames, errFrameTooLarge
		}
		c.event = append(c.event, piece[:n]...)
		piece = piece[n:]
		if ended && len(c.event) > 0 {
			frames = append(frames, c.frame())
		}
	}
	return frames, nil
}

func (c *sseCutter) rest() ([]frame, error) {
	if len(c.event) == 0 {
		return nil, nil
	}
	return []frame{c.frame()}, nil
}

// frame takes the event in progress as whole.
func (c *sseCutter) frame() frame {
	f := frame{raw: c.event}
	c.event = nil
	at := 0
	if mark := "\xEF\xBB\xBF"; !c.begun && bytes.HasPrefix(f.raw, []byte(mark)) {
		at = len(mark)
	}
	c.begun = true
	for at < len(f.raw) {
		end := bytes.IndexAny(f.raw[at:], "\r\n")
		if end < 0 {
			end = len(f.raw) - at
		}
		line := f.raw[at : at+end]
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			value = bytes.TrimPrefix(value, []byte(" "))
			f.lines = append(f.lines, wire.Span{Start: at + end - len(value), End: at + end})
		}
		at += end + 1
	}
	switch len(f.lines) {
	case 0:
	case 1:
		f.data = f.lines[0].Of(f.raw)
	default:
		for i, line := range f.lines {
			if i > 0 {
				f.data = append(f.data, '\n')
			}
			f.data = append(f.data, line.Of(f.raw)...)
		}
	}
	return f
}

// put writes data in the place of the first data line; others go.
func (c *sseCutter) put(f *frame, data []byte) []byte {
	out := append([]byte(nil), f.raw[:f.lines[0].Start]...)
	// Between the values of JSON, a space is as good as the end of a line.
	out = append(out, bytes.ReplaceAll(data, []byte("\n"), []byte(" "))...)
	at := f.lines[0].End
	for _, line := range f.lines[1:] {
		// From the end of the line before to the end of this one.
		begin := line.Start - len("data:")
		if f.raw[begin] != 'd' {
			begin--
		}
		out = append(out, f.raw[at:begin]...)
		at = line.End
		for _, end := range [...]byte{'\r', '\n'} {
			if at < len(f.raw) && f.raw[at] == end {
				at++
			}
		}
	}
	return append(out, f.raw[at:]...)
}

// eventStreamCutter is the cutter of AWS event streams: see [wire.EventStream].
type eventStreamCutter struct {
	limit int
	buf   []byte
}

const (
	eventPrelude = 12 // length, length of the headers, checksum of both; in bytes
	eventTrailer = 4  // checksum of all
)

func (c *eventStreamCutter) cut(piece []byte) (frames []frame, err error) {
	c.buf = append(c.buf, piece...)
	for len(c.buf) >= eventPrelude {
		size, headers := int64(binary.BigEndian.Uint32(c.buf)), int64(binary.BigEndian.Uint32(c.buf[4:]))
		switch {
		case crc32.ChecksumIEEE(c.buf[:8]) != binary.BigEndian.Uint32(c.buf[8:]), size < eventPrelude+eventTrailer+headers:
			return frames, errFrameBroken
		case size > int64(c.limit):
			return frames, errFrameTooLarge
		case int64(len(c.buf)) < size:
			return frames, nil
		}
		raw := slices.Clone(c.buf[:size])
		c.buf = c.buf[size:]
		end := len(raw) - eventTrailer
		if crc32.ChecksumIEEE(raw[:end]) != binary.BigEndian.Uint32(raw[end:]) {
			return frames, errFrameBroken
		}
		frames = append(frames, frame{raw: raw, data: raw[eventPrelude+headers : end]})
	}
	return frames, nil
}

// rest is an error where the stream ends inside of a message: nobody can read that.
func (c *eventStreamCutter) rest() ([]frame, error) {
	if len(c.buf) > 0 {
		return nil, errFrameBroken
	}
	return nil, nil
}

func (c *eventStreamCutter) put(f *frame, data []byte) []byte {
	headers := f.raw[eventPrelude : len(f.raw)-eventTrailer-len(f.data)]
	out := make([]byte, 0, eventPrelude+len(headers)+len(data)+eventTrailer)
	out = binary.BigEndian.AppendUint32(out, uint32(cap(out)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(headers)))
	out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out))
	out = append(append(out, headers...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out))
}
