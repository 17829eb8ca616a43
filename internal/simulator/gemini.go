package simulator

import (
	"encoding/base64"
	"encoding/json"
	"iter"
	"net/http"
	"time"
)

// geminiResponse is an answer of generateContent, and one chunk of a stream.
type geminiResponse struct {
	Candidates    []geminiCandidate `json:"candidates"`
	UsageMetadata *geminiUsage      `json:"usageMetadata,omitempty"`
	ModelVersion  string            `json:"modelVersion"`
	CreateTime    string            `json:"createTime,omitempty"`
	ResponseID    string            `json:"responseId"`
}

type geminiCandidate struct {
	Content      geminiContent `json:"content"`
	FinishReason string        `json:"finishReason,omitempty"`
	Index        int           `json:"index"`
}

type geminiContent struct {
	Parts []geminiPart `json:"parts"`
	Role  string       `json:"role"`
}

type geminiPart struct {
	Text             *string     `json:"text,omitempty"`
	FunctionCall     *geminiCall `json:"functionCall,omitempty"`
	Thought          bool        `json:"thought,omitempty"`
	ThoughtSignature string      `json:"thoughtSignature,omitempty"`
}

type geminiCall struct {
	ID   string          `json:"id,omitempty"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args"`
}

// geminiUsage keeps thoughts beside the candidates and the cached tokens inside the
// prompt.
type geminiUsage struct {
	PromptTokenCount        int64           `json:"promptTokenCount"`
	CachedContentTokenCount int64           `json:"cachedContentTokenCount,omitempty"`
	CandidatesTokenCount    int64           `json:"candidatesTokenCount,omitempty"`
	TotalTokenCount         int64           `json:"totalTokenCount"`
	PromptTokensDetails     []modalityCount `json:"promptTokensDetails"`
	CacheTokensDetails      []modalityCount `json:"cacheTokensDetails,omitempty"`
	ThoughtsTokenCount      int64           `json:"thoughtsTokenCount,omitempty"`
	ServiceTier             string          `json:"serviceTier,omitempty"`
	TrafficType             string          `json:"trafficType,omitempty"`
}

type modalityCount struct {
	Modality   string `json:"modality"`
	TokenCount int64  `json:"tokenCount"`
}

// geminiAnswer is all that an answer of generateContent is made of.
type geminiAnswer struct {
	*call
	model  string
	shows  bool // the thoughts
	answer generation
	usage  Usage
}

func (s *Server) geminiAnswer(c *call) (*geminiAnswer, error) {
	model, err := s.modelOf(c.api, c.params["model"])
	if err != nil {
		return nil, err
	}
	req, err := parseGemini(c.body, c.params["model"])
	if err != nil {
		return nil, err
	}
	g := c.script.generate(&req.prompt)
	return &geminiAnswer{
		call: c, model: model, shows: req.thoughts, answer: g,
		usage: c.script.usage(req.prompt.tokens, []generation{g}),
	}, nil
}

func (s *Server) generateContent(c *call) (reply, error) {
	a, err := s.geminiAnswer(c)
	if err != nil {
		return reply{}, err
	}
	if c.script.fails() {
		return reply{}, scripted(http.StatusInternalServerError)
	}
	return googleReply(http.StatusOK, a.object()), nil
}

// streamGenerateContent answers with server-sent events where alt=sse asks for them, else
// with an array.
func (s *Server) streamGenerateContent(c *call) (reply, error) {
	a, err := s.geminiAnswer(c)
	if err != nil {
		return reply{}, err
	}
	if c.isArray() {
		rep := streamReply(a.events(indented))
		rep.framing = jsonArray
		rep.header.Set("Content-Type", "application/json; charset=UTF-8")
		return rep, nil
	}
	rep := streamReply(a.events(spaced))
	rep.framing = sseCRLF
	rep.header.Set("Content-Type", "text/event-stream")
	return rep, nil
}

// object returns the answer that is no stream.
func (a *geminiAnswer) object() geminiResponse {
	var parts []geminiPart
	if a.shows && a.answer.reasoning > 0 {
		parts = append(parts, geminiPart{Text: new(thought), Thought: true})
	}
	if len(a.answer.deltas) > 0 {
		parts = append(parts, a.textPart(a.answer.text(), true))
	}
	for j := range a.answer.calls {
		parts = append(parts, a.callPart(j))
	}
	response := a.response(parts, a.finishReason())
	if a.script.Report != ReportNone {
		response.UsageMetadata = a.usageMetadata(a.usage)
	}
	return response
}

// textPart is a piece of the text; the first is signed by a model that thinks.
func (a *geminiAnswer) textPart(text string, first bool) geminiPart {
	part := geminiPart{Text: &text}
	if first {
		part.ThoughtSignature = a.signature()
	}
	return part
}

// callPart is the j-th call. Only models of the third generation name it.
func (a *geminiAnswer) callPart(j int) geminiPart {
	tc := a.answer.calls[j]
	part := geminiPart{FunctionCall: &geminiCall{Name: tc.name, Args: json.RawMessage(tc.arguments)}}
	if isGemini3(a.model) {
		part.FunctionCall.ID = a.digest.id("", j)[:8]
	}
	if j == 0 {
		part.ThoughtSignature = a.signature()
	}
	return part
}

func (a *geminiAnswer) signature() string {
	if a.answer.reasoning == 0 && !isGemini3(a.model) {
		return ""
	}
	return a.digest.signature()
}

// signature returns what a model signs its thoughts with.
func (d digest) signature() string { return base64.StdEncoding.EncodeToString(d[:]) }

func (a *geminiAnswer) finishReason() string {
	if a.answer.stopped {
		return "MAX_TOKENS"
	}
	return "STOP"
}

func (a *geminiAnswer) response(parts []geminiPart, finish string) geminiResponse {
	if parts == nil {
		parts = []geminiPart{}
	}
	response := geminiResponse{
		Candidates:   []geminiCandidate{{Content: geminiContent{parts, "model"}, FinishReason: finish}},
		ModelVersion: a.model,
		ResponseID:   base64.RawURLEncoding.EncodeToString(a.digest[:17]),
	}
	if a.api == Vertex {
		response.CreateTime = time.Unix(a.digest.time(), 0).UTC().Format(time.RFC3339)
	}
	return response
}

func (a *geminiAnswer) usageMetadata(u Usage) *geminiUsage {
	usage := &geminiUsage{
		PromptTokenCount:        u.Prompt,
		CachedContentTokenCount: u.Cached,
		CandidatesTokenCount:    u.Completion - u.Reasoning,
		TotalTokenCount:         u.Total(),
		PromptTokensDetails:     []modalityCount{{"TEXT", u.Prompt}},
		ThoughtsTokenCount:      u.Reasoning,
	}
	if u.Cached > 0 {
		usage.CacheTokensDetails = []modalityCount{{"TEXT", u.Cached}}
	}
	if a.api == Vertex {
		usage.TrafficType = "ON_DEMAND"
	} else {
		usage.ServiceTier = "standard"
	}
	return usage
}

// events returns the stream, in JSON as encode has it: the thoughts, the text word by
// word or the calls, and the end. Each chunk has the usage so far.
func (a *geminiAnswer) events(encode func(any) []byte) iter.Seq[event] {
	return func(yield func(event) bool) {
		so := a.usage
		so.Completion = so.Reasoning
		send := func(part geminiPart, tokens int64, finish string) bool {
			so.Completion = min(so.Completion+tokens, a.usage.Completion)
			chunk := a.response([]geminiPart{part}, finish)
			switch {
			case a.script.Report == ReportNone, a.script.Report == ReportFinish && finish == "":
			case finish != "":
				chunk.UsageMetadata = a.usageMetadata(a.usage)
			default:
				chunk.UsageMetadata = a.usageMetadata(so)
			}
			return yield(event{data: encode(chunk)})
		}
		if !a.parts(send) {
			return
		}
		switch {
		case a.script.fails():
			yield(event{data: encode(scripted(http.StatusServiceUnavailable).google())})
		case !a.script.Unfinished:
			send(a.textPart("", false), 0, a.finishReason())
		}
	}
}

// parts sends what is between the beginning and the end, each part with its tokens.
func (a *geminiAnswer) parts(send func(geminiPart, int64, string) bool) bool {
	if a.shows {
		for _, text := range a.answer.thoughts() {
			if !send(geminiPart{Text: &text, Thought: true}, 0, "") {
				return false
			}
		}
	}
	for i, text := range a.answer.deltas {
		if !send(a.textPart(text, i == 0), 1, "") {
			return false
		}
	}
	for j, tc := range a.answer.calls {
		if !send(a.callPart(j), 1+CountTokens(tc.arguments), "") {
			return false
		}
	}
	return true
}

// countTokens counts a conversation, bare or inside a generateContentRequest.
func (s *Server) countTokens(c *call) (reply, error) {
	if _, err := s.modelOf(c.api, c.params["model"]); err != nil {
		return reply{}, err
	}
	f, err := parseFields(c.body)
	if err != nil {
		return reply{}, err
	}
	var inner fields
	if err := f.read("generateContentRequest", &inner); err != nil {
		return reply{}, err
	}
	if inner == nil {
		inner = f
	} else {
		delete(inner, "model") // belongs there
	}
	req, err := parseGemini(encode(inner), c.params["model"])
	if err != nil {
		return reply{}, err
	}
	n := req.prompt.tokens
	return googleReply(http.StatusOK, struct {
		TotalTokens             int64           `json:"totalTokens"`
		CachedContentTokenCount int64           `json:"cachedContentTokenCount,omitempty"`
		PromptTokensDetails     []modalityCount `json:"promptTokensDetails"`
	}{n, cached(n), []modalityCount{{"TEXT", n}}}), nil
}
