package simulator

import (
	"net/http"
	"strings"
)

const badGatewayPage = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n" +
	"<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"

// refusal is what c's script answers in place of the API.
func (c *call) refusal() reply {
	var rep reply
	s := &c.script
	switch {
	case s.Redirect != "":
		rep = bytesReply(http.StatusTemporaryRedirect, "text/plain; charset=utf-8", nil)
		rep.header.Set("Location", s.Redirect)
		if s.Status != 0 {
			rep.status = s.Status
		}
	case s.Body != "":
		rep = bytesReply(s.Status, s.ContentType, []byte(s.Body))
	case s.Status == http.StatusBadGateway:
		rep = bytesReply(s.Status, "text/html", []byte(badGatewayPage))
	default:
		f := s.fault(s.Status)
		if c.errors.isGoogle() {
			f.retryAfter = s.RetryAfter
		}
		rep = c.fault(f)
		if f.retryAfter != "" {
			return rep // nothing of it is in the header
		}
	}
	for name, value := range map[string]string{
		"Retry-After":    s.RetryAfter,
		"Retry-After-Ms": s.RetryAfterMS,
		"X-Should-Retry": s.ShouldRetry,
	} {
		if value != "" {
			rep.header.Set(name, value)
		}
	}
	if s.Status == http.StatusTooManyRequests && !strings.HasPrefix(s.Code, "insufficient") {
		switch c.api {
		case OpenAI, Azure:
			rep.header.Set("X-Ratelimit-Remaining-Requests", "0")
			rep.header.Set("X-Ratelimit-Reset-Requests", "1s")
		case Anthropic:
			rep.header.Set("Anthropic-Ratelimit-Requests-Remaining", "0")
		}
	}
	return rep
}

// fault returns the fault of a status, under the name that s has for it.
func (s *Script) fault(status int) *fault {
	f := scripted(status)
	if s.Code != "" {
		f.code, f.name = s.Code, s.Code
	}
	if s.Code == "insufficient_quota" {
		f.kind, f.message = s.Code, "You have spent your quota. Waiting does not help."
	}
	return f
}
