package simulator

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
)

// geminiEmbed is a request to embedContent.
type geminiEmbed struct {
	Model      string     `json:"model"`
	Content    geminiTurn `json:"content"`
	Dimensions int        `json:"outputDimensionality"`
}

// text returns the texts of e as one.
func (e *geminiEmbed) text() string {
	var texts []string
	for i := range e.Content.Parts {
		texts = append(texts, e.Content.Parts[i].Text)
	}
	return strings.Join(texts, " ")
}

// vector returns the embedding of e.
func (e *geminiEmbed) vector() []float32 { return embed(e.text(), cmp.Or(e.Dimensions, dimensions)) }

// check refuses e if it has nothing to embed, or names another model than the path.
func (e *geminiEmbed) check(model string) error {
	switch {
	case e.Model != "" && strings.TrimPrefix(e.Model, "models/") != model:
		return badRequest("", "model", "The model of a request must be that of the path.")
	case len(e.Content.Parts) == 0:
		return badRequest("", "content", "The member content holds no part.")
	case e.Dimensions < 0 || e.Dimensions > 4096:
		return badRequest("", "outputDimensionality", "outputDimensionality must be between 1 and 4096.")
	}
	return nil
}

// parseGeminiEmbed reads a request to embedContent, or those of batchEmbedContents.
func parseGeminiEmbed(body []byte, model string, batch bool) ([]geminiEmbed, error) {
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	list := make([]geminiEmbed, 1)
	if batch {
		err = f.read("requests", &list)
	} else {
		err = errors.Join(
			f.read("model", &list[0].Model),
			f.read("content", &list[0].Content),
			f.read("outputDimensionality", &list[0].Dimensions),
		)
	}
	switch {
	case err != nil:
		return nil, first(err)
	case batch && f["requests"] == nil, len(list) == 0:
		return nil, badRequest("", "requests", "The member requests holds none.")
	}
	for i := range list {
		if err := list[i].check(model); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func geminiEmbedTokens(list []geminiEmbed) int64 {
	n := int64(0)
	for i := range list {
		n += CountTokens(list[i].text())
	}
	return n
}

type geminiVector struct {
	Values []float32 `json:"values"`
}

// geminiEmbedUsage is what an embedding reports.
type geminiEmbedUsage struct {
	PromptTokenCount   int64           `json:"promptTokenCount"`
	PromptTokenDetails []modalityCount `json:"promptTokenDetails"`
}

// geminiEmbedUsage returns the usage of so many tokens as c's script wants it.
func (c *call) geminiEmbedUsage(tokens int64) *geminiEmbedUsage {
	if c.script.Report == ReportNone {
		return nil
	}
	u := c.script.Counts.apply(Usage{Prompt: tokens})
	return &geminiEmbedUsage{u.Prompt, []modalityCount{{"TEXT", u.Prompt}}}
}

func (s *Server) geminiEmbeds(c *call, batch bool) ([]geminiEmbed, error) {
	if _, err := s.modelOf(c.api, c.params["model"]); err != nil {
		return nil, err
	}
	return parseGeminiEmbed(c.body, c.params["model"], batch)
}

func (s *Server) embedContent(c *call) (reply, error) {
	list, err := s.geminiEmbeds(c, false)
	if err != nil {
		return reply{}, err
	}
	return googleReply(http.StatusOK, struct {
		Embedding geminiVector      `json:"embedding"`
		Usage     *geminiEmbedUsage `json:"usageMetadata,omitempty"`
	}{geminiVector{list[0].vector()}, c.geminiEmbedUsage(geminiEmbedTokens(list))}), nil
}

func (s *Server) batchEmbedContents(c *call) (reply, error) {
	list, err := s.geminiEmbeds(c, true)
	if err != nil {
		return reply{}, err
	}
	answer := struct {
		Embeddings []geminiVector    `json:"embeddings"`
		Usage      *geminiEmbedUsage `json:"usageMetadata,omitempty"`
	}{Usage: c.geminiEmbedUsage(geminiEmbedTokens(list))}
	for i := range list {
		answer.Embeddings = append(answer.Embeddings, geminiVector{list[i].vector()})
	}
	return googleReply(http.StatusOK, answer), nil
}

// predictRequest is a request to an embedding model of Vertex.
type predictRequest struct {
	Instances []struct {
		Content string `json:"content"`
	} `json:"instances"`
	Parameters struct {
		Dimensions int `json:"outputDimensionality"`
	} `json:"parameters"`
}

func parsePredict(body []byte) (*predictRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	var req predictRequest
	err = errors.Join(f.read("instances", &req.Instances), f.read("parameters", &req.Parameters))
	switch {
	case err != nil:
		return nil, first(err)
	case len(req.Instances) == 0:
		return nil, badRequest("", "instances", "The member instances holds none.")
	case req.Parameters.Dimensions < 0 || req.Parameters.Dimensions > 4096:
		return nil, badRequest("", "parameters", "outputDimensionality must be between 1 and 4096.")
	}
	return &req, nil
}

func (r *predictRequest) tokens() int64 {
	n := int64(0)
	for i := range r.Instances {
		n += CountTokens(r.Instances[i].Content)
	}
	return n
}

type prediction struct {
	Embeddings struct {
		Statistics struct {
			Truncated  bool  `json:"truncated"`
			TokenCount int64 `json:"token_count"`
		} `json:"statistics"`
		Values []float32 `json:"values"`
	} `json:"embeddings"`
}

// predict embeds, in the way of Vertex.
func (s *Server) predict(c *call) (reply, error) {
	if _, err := s.modelOf(c.api, c.params["model"]); err != nil {
		return reply{}, err
	}
	req, err := parsePredict(c.body)
	if err != nil {
		return reply{}, err
	}
	answer := struct {
		Predictions []prediction `json:"predictions"`
		Metadata    struct {
			BillableCharacterCount int `json:"billableCharacterCount"`
		} `json:"metadata"`
	}{}
	for i := range req.Instances {
		text := req.Instances[i].Content
		var p prediction
		p.Embeddings.Statistics.TokenCount = CountTokens(text)
		p.Embeddings.Values = embed(text, cmp.Or(req.Parameters.Dimensions, dimensions))
		answer.Predictions = append(answer.Predictions, p)
		answer.Metadata.BillableCharacterCount += len(text)
	}
	return googleReply(http.StatusOK, answer), nil
}
