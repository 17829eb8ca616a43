package wire

// Held returns how much memory the buffers of s hold, in bytes.
func (s *SSE) Held() int { return cap(s.event.buffer) + cap(s.data.buffer) }
