package wire

// Frame is one unit of a dialect inside the bytes: an event of a stream, or a whole JSON
// body. Both slices are valid only during the call that hands the frame over, and must
// not be changed.
type Frame struct {
	Event []byte // the event's name; empty where the framing has none
	Data  []byte
}

// Sink receives frames in order.
type Sink interface{ Frame(f Frame) }
