package simulator

import (
	"fmt"
	"net/http"
	"strings"
)

// AudioBytesPerSecond is how long a recording is taken to be.
const AudioBytesPerSecond = 16000

type transcription struct {
	Text   string              `json:"text"`
	Bytes  int64               `json:"bytes"`
	SHA256 string              `json:"sha256"`
	Usage  *transcriptionUsage `json:"usage,omitempty"`
}

// transcriptionUsage is a union: seconds of whisper-1, tokens of the other models.
type transcriptionUsage struct {
	Type         string                `json:"type"`
	Seconds      *int64                `json:"seconds,omitempty"`
	InputTokens  *int64                `json:"input_tokens,omitempty"`
	Details      *transcriptionDetails `json:"input_token_details,omitempty"`
	OutputTokens *int64                `json:"output_tokens,omitempty"`
	TotalTokens  *int64                `json:"total_tokens,omitempty"`
}

type transcriptionDetails struct {
	AudioTokens int64 `json:"audio_tokens"`
	TextTokens  int64 `json:"text_tokens"`
}

// transcribe answers with the size and the hash of the recording. Its length is
// ceil(size / 16000) seconds, and a second has ten audio tokens.
func (s *Server) transcribe(c *call) (reply, error) {
	f, err := c.readForm()
	if err != nil {
		return reply{}, err
	}
	model := f.values["model"]
	if _, err := s.model(model); err != nil {
		return reply{}, err
	}
	t := transcription{
		Text:  fmt.Sprintf("Heard %d bytes of %s.", f.size, f.filename),
		Bytes: f.size, SHA256: f.sha256(),
	}
	seconds := (f.size + AudioBytesPerSecond - 1) / AudioBytesPerSecond
	switch {
	case c.script.Report == ReportNone:
	case strings.HasPrefix(model, "whisper"):
		t.Usage = &transcriptionUsage{Type: "duration", Seconds: &seconds}
	default:
		text := CountTokens(f.values["prompt"])
		u := c.script.Counts.apply(Usage{Prompt: 10*seconds + text, Completion: CountTokens(t.Text)})
		t.Usage = &transcriptionUsage{
			Type: "tokens", InputTokens: &u.Prompt, OutputTokens: &u.Completion, TotalTokens: new(u.Total()),
			Details: &transcriptionDetails{AudioTokens: u.Prompt - text, TextTokens: text},
		}
	}
	return jsonReply(http.StatusOK, t), nil
}
