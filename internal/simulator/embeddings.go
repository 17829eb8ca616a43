package simulator

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"net/http"
)

// dimensions is the length of an embedding where the request does not ask for another.
const dimensions = 8

type embeddingList struct {
	Object string          `json:"object"`
	Data   []embedding     `json:"data"`
	Model  string          `json:"model"`
	Usage  *embeddingUsage `json:"usage,omitempty"`
}

type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // []float32, or base64 of it, little endian
}

type embeddingUsage struct {
	PromptTokens int64 `json:"prompt_tokens"`
	TotalTokens  int64 `json:"total_tokens"`
}

// embeddingsRequest is what matters of a request to Embeddings.
type embeddingsRequest struct {
	model  string
	input  textInput
	format string
	length int
}

func parseEmbeddings(body []byte) (*embeddingsRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	req := &embeddingsRequest{format: "float", length: dimensions}
	err = errors.Join(
		f.read("model", &req.model),
		f.read("input", &req.input),
		f.read("encoding_format", &req.format),
		f.read("dimensions", &req.length),
	)
	switch {
	case err != nil:
		return nil, first(err)
	case req.model == "":
		return nil, missing("model")
	case len(req.input) == 0:
		return nil, missing("input")
	case len(req.input) > 2048:
		return nil, badRequest("array_above_max_length", "input", "'input' holds more than 2048 texts.")
	case req.format != "float" && req.format != "base64":
		return nil, badRequest("invalid_value", "encoding_format", "'encoding_format' must be float or base64.")
	case req.length < 1 || req.length > 4096:
		return nil, badRequest("invalid_value", "dimensions", "'dimensions' must be between 1 and 4096.")
	}
	return req, nil
}

func (r *embeddingsRequest) tokens() int64 {
	n := int64(0)
	for _, t := range r.input {
		n += t.tokens
	}
	return n
}

func (s *Server) embeddings(c *call) (reply, error) {
	req, err := parseEmbeddings(c.body)
	if err != nil {
		return reply{}, err
	}
	model, err := s.model(req.model)
	if err != nil {
		return reply{}, err
	}
	list := embeddingList{Object: "list", Model: model}
	if c.script.Report != ReportNone {
		u := c.script.Counts.apply(Usage{Prompt: req.tokens()})
		list.Usage = &embeddingUsage{u.Prompt, u.Prompt}
	}
	for i, t := range req.input {
		e := embedding{Object: "embedding", Index: i}
		vector := embed(t.text, req.length)
		e.Embedding = vector
		if req.format == "base64" {
			e.Embedding = packed(vector)
		}
		list.Data = append(list.Data, e)
	}
	return jsonReply(http.StatusOK, list), nil
}

// embed returns the embedding of text: multiples of 1/128 between -1 and 1.
func embed(text string, length int) []float32 {
	d := digestOf("embedding", []byte(text))
	vector := make([]float32, length)
	for i := range vector {
		vector[i] = float32(int8(d[i%len(d)])) / 128
	}
	return vector
}

// packed returns vector as little-endian float32 in base64.
func packed(vector []float32) string {
	var raw []byte
	for _, x := range vector {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(raw)
}
