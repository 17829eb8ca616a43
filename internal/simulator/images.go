package simulator

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
)

// ImageTokens is what one generated image costs.
const ImageTokens = 272

// pixel is a PNG of one grey pixel.
var pixel = []byte("\x89PNG\r\n\x1a\n" +
	"\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU" +
	"\x00\x00\x00\nIDATx\x9cch\x00\x00\x00\x82\x00\x81w\xcdr\xb6" +
	"\x00\x00\x00\x00IEND\xaeB`\x82")

type imageList struct {
	Created int64       `json:"created"`
	Data    []imageData `json:"data"`
	Usage   *imageUsage `json:"usage,omitempty"`
}

type imageData struct {
	B64JSON       string `json:"b64_json"`
	RevisedPrompt string `json:"revised_prompt"`
}

type imageUsage struct {
	InputTokens   int64        `json:"input_tokens"`
	InputDetails  imageDetails `json:"input_tokens_details"`
	OutputTokens  int64        `json:"output_tokens"`
	OutputDetails imageDetails `json:"output_tokens_details"`
	TotalTokens   int64        `json:"total_tokens"`
}

type imageDetails struct {
	ImageTokens int64 `json:"image_tokens"`
	TextTokens  int64 `json:"text_tokens"`
}

// imageEvent is an event of a stream.
type imageEvent struct {
	Type         string      `json:"type"`
	B64JSON      string      `json:"b64_json"`
	CreatedAt    int64       `json:"created_at"`
	PartialIndex *int        `json:"partial_image_index,omitempty"`
	Usage        *imageUsage `json:"usage,omitempty"`
}

// imagesRequest is what matters of a request to Images.
type imagesRequest struct {
	model    string
	prompt   string
	images   int
	stream   bool
	partials int
}

func parseImages(body []byte) (*imagesRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	req := &imagesRequest{model: "gpt-image-1", images: 1}
	err = errors.Join(
		f.read("model", &req.model),
		f.read("prompt", &req.prompt),
		f.read("n", &req.images),
		f.read("stream", &req.stream),
		f.read("partial_images", &req.partials),
	)
	switch {
	case err != nil:
		return nil, first(err)
	case req.prompt == "":
		return nil, missing("prompt")
	case req.images < 1 || req.images > 10:
		return nil, badRequest("invalid_value", "n", "'n' must be between 1 and 10.")
	case req.partials < 0 || req.partials > 3:
		return nil, badRequest("invalid_value", "partial_images", "'partial_images' must be between 0 and 3.")
	}
	return req, nil
}

func (r *imagesRequest) usage() Usage {
	return Usage{Prompt: CountTokens(r.prompt), Completion: ImageTokens * int64(r.images)}
}

func (s *Server) images(c *call) (reply, error) {
	req, err := parseImages(c.body)
	if err != nil {
		return reply{}, err
	}
	if _, err := s.model(req.model); err != nil {
		return reply{}, err
	}
	var usage *imageUsage
	if c.script.Report != ReportNone {
		u := c.script.Counts.apply(req.usage())
		usage = &imageUsage{
			InputTokens: u.Prompt, InputDetails: imageDetails{TextTokens: u.Prompt},
			OutputTokens: u.Completion, OutputDetails: imageDetails{ImageTokens: u.Completion},
			TotalTokens: u.Total(),
		}
	}
	picture := base64.StdEncoding.EncodeToString(pixel)
	if req.stream {
		return streamReply(slices.Values(c.imageEvents(req, picture, usage))), nil
	}
	list := imageList{Created: c.digest.time(), Usage: usage}
	for range req.images {
		list.Data = append(list.Data, imageData{B64JSON: picture, RevisedPrompt: Reply(req.prompt)})
	}
	return jsonReply(http.StatusOK, list), nil
}

// imageEvents is the stream of one image.
func (c *call) imageEvents(req *imagesRequest, picture string, usage *imageUsage) []event {
	var events []event
	add := func(e imageEvent) {
		e.B64JSON, e.CreatedAt = picture, c.digest.time()
		events = append(events, event{name: e.Type, data: encode(e)})
	}
	for i := range req.partials {
		add(imageEvent{Type: "image_generation.partial_image", PartialIndex: new(i)})
	}
	if !c.script.Unfinished {
		add(imageEvent{Type: "image_generation.completed", Usage: usage})
	}
	return events
}
