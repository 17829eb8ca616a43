package wstest

import (
	"bytes"
	"testing"
)

// A frame that was read is written as the same bytes, but for the masking key.
func FuzzFrame(f *testing.F) {
	f.Add(byte(0x81), []byte("text"), true)
	f.Add(byte(0xf8), []byte{}, false)
	f.Add(byte(0x02), make([]byte, 126), true)
	f.Add(byte(0x82), make([]byte, 1<<16), false)
	f.Fuzz(func(t *testing.T, first byte, payload []byte, masked bool) {
		want := frame{fin: first&0x80 != 0, rsv: first >> 4 & 7, opcode: first & 0xf, payload: payload}
		b := append(want.append(nil, masked), "next"...)
		r := bytes.NewReader(b)
		got, err := readFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		if got.fin != want.fin || got.rsv != want.rsv || got.opcode != want.opcode || !bytes.Equal(got.payload, payload) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if r.Len() != len("next") {
			t.Errorf("%d bytes are left, want those behind the frame", r.Len())
		}
		// Every part of it is an end too soon.
		for _, n := range []int{0, 1, len(b) / 2, len(b) - len("next") - 1} {
			if n < len(b)-len("next") {
				if _, err := readFrame(bytes.NewReader(b[:n])); err == nil {
					t.Errorf("%d bytes of %d make a frame", n, len(b)-len("next"))
				}
			}
		}
	})
}
