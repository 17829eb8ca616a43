package simulator

import (
	"encoding/binary"
	"hash/crc32"
)

// awsFrame returns e as a message of application/vnd.amazon.eventstream: the lengths of
// all and of the headers, their checksum, the headers, the payload, the checksum of all.
// Numbers are big-endian, checksums CRC-32 of IEEE.
func awsFrame(e event) []byte {
	var headers []byte
	header := func(name, value string) {
		const text = 7
		headers = append(headers, byte(len(name)))
		headers = append(headers, name...)
		headers = append(headers, text)
		headers = binary.BigEndian.AppendUint16(headers, uint16(len(value)))
		headers = append(headers, value...)
	}
	payload := e.data
	switch e.kind {
	case "error": // says everything in its headers
		header(":error-code", e.name)
		header(":error-message", string(e.data))
		header(":message-type", "error")
		payload = nil
	case "exception":
		header(":exception-type", e.name)
		header(":content-type", "application/json")
		header(":message-type", "exception")
	default:
		header(":event-type", e.name)
		header(":content-type", "application/json")
		header(":message-type", "event")
	}
	size := 16 + len(headers) + len(payload)
	frame := make([]byte, 0, size)
	frame = binary.BigEndian.AppendUint32(frame, uint32(size))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(headers)))
	frame = binary.BigEndian.AppendUint32(frame, crc32.ChecksumIEEE(frame))
	frame = append(frame, headers...)
	frame = append(frame, payload...)
	return binary.BigEndian.AppendUint32(frame, crc32.ChecksumIEEE(frame))
}
