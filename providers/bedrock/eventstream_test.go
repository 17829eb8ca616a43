package bedrock_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream/eventstreamapi"

	"github.com/llmproxy/llmproxy/wire"
)

// What AWS's own decoder accepts, our reader of event streams does, with the same
// payloads, and what it refuses, ours does.
//
// Three differences are named. AWS's does not compare the length of the headers with that
// of the message, reads a message whose length is too small, and takes the length of a
// name for nothing where no name follows; ours refuses all three.
func FuzzEventStreamLikeTheSDK(f *testing.F) {
	one := stream([2]string{"a", "{}"})
	f.Add("\x01a\x07\x00\x01b", []byte("{}"), int16(0), int16(0), []byte(one))
	f.Add("\x01a\x00\x01b\x01\x01c\x02x\x01d\x03xx\x01e\x04xxxx\x01f\x05xxxxxxxx\x01g\x06\x00\x03xyz\x00\x08xxxxxxxx\x01h\x09xxxxxxxxxxxxxxxx", []byte("x"), int16(0), int16(0), []byte(one+one))
	f.Add("\x0d:message-type\x07\x00\x09exception\x0f:exception-type\x07\x00\x01a", []byte("{}"), int16(0), int16(0), []byte(one[:20]))
	f.Add("\x00\x00\x09", []byte("{}"), int16(0), int16(0), []byte(one))
	f.Add("\x01a", []byte("{}"), int16(3), int16(-1), []byte("more"))
	f.Fuzz(func(t *testing.T, headers string, payload []byte, offLength, offHeaders int16, after []byte) {
		message := binary.BigEndian.AppendUint32(nil, uint32(16+len(headers)+len(payload)+int(offLength)))
		message = binary.BigEndian.AppendUint32(message, uint32(len(headers)+int(offHeaders)))
		message = binary.BigEndian.AppendUint32(message, crc32.ChecksumIEEE(message))
		message = append(append(message, headers...), payload...)
		message = binary.BigEndian.AppendUint32(message, crc32.ChecksumIEEE(message))
		both := append(message, after...)

		var got frames
		s := wire.NewEventStream(&got, 0)
		_, _ = s.Write(both)

		var want frames
		decoder, rest := eventstream.NewDecoder(), bytes.NewReader(both)
		fault, odd := false, false
		for rest.Len() > 0 {
			at := both[len(both)-rest.Len():]
			m, err := decoder.Decode(rest, nil)
			if err == nil && (oddLengths(at) || endsInLength(at)) {
				odd = true // ours refuses it
				break
			}
			if err != nil {
				// A message that has not come whole is no fault yet.
				fault = len(at) >= 12 && (uint64(binary.BigEndian.Uint32(at)) <= uint64(len(at)) || oddLengths(at) || crc32.ChecksumIEEE(at[:8]) != binary.BigEndian.Uint32(at[8:]))
				break
			}
			want = append(want, frame{name(m), string(m.Payload)})
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, AWS's decoder %q", got, want)
		}
		if s.Broken() != (fault || odd) && s.Oversized() == 0 {
			t.Errorf("broken: %v, %v; AWS's decoder: %v", s.Broken(), s.Err(), fault)
		}
	})
}

// oddLengths reports whether the lengths that a message begins with contradict each other.
func oddLengths(message []byte) bool {
	length, headers := binary.BigEndian.Uint32(message), binary.BigEndian.Uint32(message[4:])
	return length < 16 || headers > length-16
}

// endsInLength reports whether the headers of a message, which AWS's decoder accepts, end
// in the length of a name alone.
func endsInLength(message []byte) bool {
	headers := message[12 : 12+binary.BigEndian.Uint32(message[4:])]
	for len(headers) > 1 {
		at := 1 + int(headers[0]) + 1 // of the value
		size := map[byte]int{2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}[headers[at-1]]
		if kind := headers[at-1]; kind == 6 || kind == 7 {
			size = 2 + int(binary.BigEndian.Uint16(headers[at:]))
		}
		headers = headers[at+size:]
	}
	return len(headers) == 1
}

// name returns the event that a frame has of m.
func name(m eventstream.Message) string {
	text := func(name string) string {
		v, _ := m.Headers.Get(name).(eventstream.StringValue)
		return string(v)
	}
	kind := text(eventstreamapi.MessageTypeHeader)
	exception := m.Headers.Get(eventstreamapi.ExceptionTypeHeader)
	_, isText := exception.(eventstream.StringValue)
	switch {
	case kind == "exception", kind != "event" && isText:
		return wire.ExceptionPrefix + text(eventstreamapi.ExceptionTypeHeader)
	case kind == "error":
		return wire.ExceptionPrefix + text(eventstreamapi.ErrorCodeHeader)
	}
	return text(eventstreamapi.EventTypeHeader)
}

// What we write, AWS's decoder reads.
func TestTheSDKReadsOurMessages(t *testing.T) {
	t.Parallel()
	m, err := eventstream.NewDecoder().Decode(bytes.NewReader(wire.AppendMessage(nil, []wire.Header{
		{Name: ":exception-type", Value: "internalServerException"}, {Name: ":message-type", Value: "exception"},
	}, []byte(`{"message":"a"}`))), nil)
	if err != nil || name(m) != "exception internalServerException" || string(m.Payload) != `{"message":"a"}` || len(m.Headers) != 2 {
		t.Errorf("got %+v, %v", m, err)
	}
}
