package simulator_test

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// frame is one message of an AWS event stream.
type frame struct {
	headers [][2]string // names and values, all texts
	payload string
}

func (f *frame) header(name string) string {
	for _, h := range f.headers {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

// frames reads stream to its end; it must be made of whole frames with right checksums.
func frames(t *testing.T, stream string) []frame {
	t.Helper()
	var list []frame
	for stream != "" {
		f, size, err := readFrame([]byte(stream))
		if err != nil {
			t.Fatalf("frame %d: %v", len(list), err)
		}
		list = append(list, f)
		stream = stream[size:]
	}
	return list
}

// readFrame reads the frame with which raw begins.
func readFrame(raw []byte) (f frame, size int, err error) {
	if len(raw) < 16 {
		return frame{}, 0, errors.New("too short")
	}
	size = int(binary.BigEndian.Uint32(raw))
	headers := int(binary.BigEndian.Uint32(raw[4:]))
	switch {
	case size > len(raw) || headers > size-16:
		return frame{}, 0, errors.New("wrong lengths")
	case crc32.ChecksumIEEE(raw[:8]) != binary.BigEndian.Uint32(raw[8:]):
		return frame{}, 0, errors.New("wrong checksum of the prelude")
	case crc32.ChecksumIEEE(raw[:size-4]) != binary.BigEndian.Uint32(raw[size-4:]):
		return frame{}, 0, errors.New("wrong checksum")
	}
	rest := raw[12 : 12+headers]
	f.payload = string(raw[12+headers : size-4])
	for len(rest) > 0 {
		n := int(rest[0])
		if rest[1+n] != 7 {
			return frame{}, 0, errors.New("a header that is no text: type " + strconv.Itoa(int(rest[1+n])))
		}
		m := int(binary.BigEndian.Uint16(rest[2+n:]))
		f.headers = append(f.headers, [2]string{string(rest[1 : 1+n]), string(rest[4+n : 4+n+m])})
		rest = rest[4+n+m:]
	}
	return f, size, nil
}

// TestFramesAreAWSs holds that a recorded event comes out byte for byte as AWS sent it.
func TestFramesAreAWSs(t *testing.T) {
	t.Parallel()
	file, err := os.Open("../../../shared/recordings/bedrock.jsonl")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the recordings are not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	n := 0
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var exchange struct{ Encoding, Response string }
		if err := json.Unmarshal(line, &exchange); err != nil {
			t.Fatal(err)
		}
		if exchange.Encoding != "base64" {
			continue
		}
		stream, err := base64.StdEncoding.DecodeString(exchange.Response)
		if err != nil {
			t.Fatal(err)
		}
		for len(stream) > 0 {
			f, size, err := readFrame(stream)
			if err != nil {
				t.Fatal(err)
			}
			got := simulator.AWSFrame(f.header(":event-type"), f.payload)
			if got != string(stream[:size]) {
				t.Errorf("got %q, want %q", got, stream[:size])
			}
			n++
			stream = stream[size:]
		}
	}
	if n < 50 {
		t.Errorf("%d events compared, want 50 and more", n)
	}
}

// TestBadChecksum holds that exactly the frame that the script names is broken.
func TestBadChecksum(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	whole := p.whole(p.bedrock("converse-stream", converseBody, ""))
	for n := range 3 {
		got := p.whole(p.bedrock("converse-stream", converseBody, "bad-crc="+strconv.Itoa(n)))
		if len(got) != len(whole) {
			t.Fatalf("%d bytes, want %d", len(got), len(whole))
		}
		for i := 0; got != ""; i++ {
			size := int(binary.BigEndian.Uint32([]byte(got)))
			_, _, err := readFrame([]byte(got[:size]))
			if (err != nil) != (i == n) {
				t.Errorf("bad-crc=%d: frame %d: %v", n, i, err)
			}
			got = got[size:]
		}
	}
	if got := p.whole(p.bedrock("converse-stream", converseBody, "bad-crc")); !strings.HasPrefix(whole, got[:40]) {
		t.Errorf("got %q", got)
	}
}
