package simulator

import "time"

// Manner is whose WebSocket mode of Responses a path has.
type Manner int

// The manners.
const (
	MannerOpenAI Manner = iota // lanes; an hour
	MannerAzure                // no lanes, no steering; an hour
	MannerXAI                  // no lanes, no steering; 25 minutes
)

// manner returns the manner of c's path.
func (s *Server) manner(c *call) Manner {
	if c.api == Azure {
		return MannerAzure
	}
	return s.options.Manner
}

// lifetime is how long a WebSocket may be open.
func (m Manner) lifetime() time.Duration {
	if m == MannerXAI {
		return 25 * time.Minute
	}
	return time.Hour
}

// multiplexes reports whether there are lanes, so that responses are made at the same
// time.
func (m Manner) multiplexes() bool { return m == MannerOpenAI }

// steers reports whether a response can be steered.
func (m Manner) steers() bool { return m == MannerOpenAI }

// detail returns f as the error of an event: without a type where only OpenAI gives one,
// without a param where f has none to speak of.
func (m Manner) detail(f *fault) socketErrorDetail {
	d := socketErrorDetail{Type: f.kind, Code: orNull(f.code), Message: f.message, Param: encode(orNull(f.param))}
	switch {
	case f.code == codePreviousNotFound && m != MannerOpenAI:
		d.Type = ""
	case f.code == codeLifetime:
		d.Param = nil
	}
	return d
}
