// Package wire cuts byte streams into frames, and finds and splices the members of JSON
// texts without decoding them.
//
// It knows framings and syntax, not dialects: what a frame or a member means is for
// others to say. Readers of streams here are io.Writers that never return an error, so
// that they can watch a stream without being able to break it.
package wire
