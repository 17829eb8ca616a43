package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// messageObject is an answer of Messages, and what a stream begins with.
type messageObject struct {
	Model        string          `json:"model"`
	ID           string          `json:"id"`
	Type         string          `json:"type"`
	Role         string          `json:"role"`
	Content      []answerBlock   `json:"content"`
	StopReason   *string         `json:"stop_reason"`
	StopSequence *string         `json:"stop_sequence"`
	StopDetails  json.RawMessage `json:"stop_details,omitempty"`
	Usage        *messageUsage   `json:"usage,omitempty"`
}

// answerBlock is a part of an answer: a text, a thought or a call.
type answerBlock struct {
	Type      string          `json:"type"`
	Text      *string         `json:"text,omitempty"`
	Thinking  *string         `json:"thinking,omitempty"`
	Signature *string         `json:"signature,omitempty"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
}

// messageUsage keeps what was read from the cache and written to it beside the input.
type messageUsage struct {
	InputTokens         int64           `json:"input_tokens"`
	CacheCreationTokens int64           `json:"cache_creation_input_tokens"`
	CacheReadTokens     int64           `json:"cache_read_input_tokens"`
	CacheCreation       *cacheLifetimes `json:"cache_creation,omitempty"`
	OutputTokens        int64           `json:"output_tokens"`
	OutputDetails       *outputDetails  `json:"output_tokens_details,omitempty"`
	ServiceTier         string          `json:"service_tier,omitempty"`
	InferenceGeo        string          `json:"inference_geo,omitempty"`
}

type cacheLifetimes struct {
	FiveMinutes int64 `json:"ephemeral_5m_input_tokens"`
	OneHour     int64 `json:"ephemeral_1h_input_tokens"`
}

type outputDetails struct {
	ThinkingTokens int64 `json:"thinking_tokens"`
}

// messageAnswer is all that an answer of Messages is made of.
type messageAnswer struct {
	*call
	via    API
	model  string
	answer generation
	usage  Usage
}

// messages answers for Anthropic and for Vertex. What concerns the body is refused in
// Anthropic's shape by both.
func (s *Server) messages(c *call) (reply, error) {
	model := ""
	if c.api == Vertex {
		var err error
		if model, err = s.modelOf(Vertex, c.params["model"]); err != nil {
			return reply{}, err
		}
	}
	c.errors = Anthropic
	a, stream, err := s.messageAnswer(c, c.params["model"])
	if err != nil {
		return reply{}, err
	}
	if model != "" {
		a.model = strings.Replace(model, "@", "-", 1) // the date, as Anthropic writes it
	}
	switch {
	case stream && strings.HasSuffix(c.operation, ":rawPredict"):
		return reply{}, badRequest("", "stream", "stream: streams come from streamRawPredict.")
	case stream:
		return streamReply(a.sse()), nil
	case c.script.fails():
		return reply{}, scripted(http.StatusInternalServerError)
	default:
		return jsonReply(http.StatusOK, a.object()), nil
	}
}

// messageAnswer reads c's request and answers it. model is the one in the path, if there
// is one.
func (s *Server) messageAnswer(c *call, model string) (a *messageAnswer, stream bool, err error) {
	req, err := s.messageRequest(c, model)
	if err == nil {
		err = req.requireLimit()
	}
	if err != nil {
		return nil, false, err
	}
	g := c.script.generate(&req.prompt)
	a = &messageAnswer{
		call: c, via: c.api, model: req.model, answer: g,
		usage: c.script.total(req.marks.usage(req.prompt.tokens), []generation{g}),
	}
	if c.api == Anthropic {
		a.model, err = s.modelOf(Anthropic, req.model)
	}
	return a, req.stream, err
}

// messageRequest reads c's request, with the version that belongs to it.
func (s *Server) messageRequest(c *call, model string) (*messageRequest, error) {
	version := c.Header.Get("Anthropic-Version")
	if c.api == Anthropic && version == "" {
		return nil, badRequest("", "anthropic-version", "anthropic-version: the header is required.")
	}
	req, err := parseMessages(c.body, c.api, model)
	if err != nil {
		return nil, err
	}
	if c.api != Anthropic {
		version = req.version
	}
	known := []string{"2023-06-01", latestMessages}
	switch c.api {
	case Vertex:
		known = append(known, "vertex-2023-10-16")
	case Bedrock:
		known = append(known, "bedrock-2023-05-31")
	default:
	}
	if !slices.Contains(known, version) {
		return nil, badRequest("", "anthropic-version", "anthropic-version: %q is not one of %s.", version, strings.Join(known, ", "))
	}
	return req, checkSampling(c.body, version)
}

// latestMessages is the version of Messages that takes no sampling parameters.
const latestMessages = "2026-10-21"

func checkSampling(body []byte, version string) error {
	f, err := parseFields(body)
	if err != nil {
		return err
	}
	for _, name := range []string{"temperature", "top_p", "top_k"} {
		if f[name] != nil && version == latestMessages {
			return badRequest("", name, "%s: not supported by version %s.", name, version)
		}
	}
	temperature := 1.0
	if err := f.read("temperature", &temperature); err != nil {
		return err
	}
	if temperature < 0 || temperature > 1 {
		return badRequest("", "temperature", "temperature: must be between 0 and 1.")
	}
	return nil
}

// countMessages answers count_tokens.
func (s *Server) countMessages(c *call) (reply, error) {
	c.errors = Anthropic
	req, err := s.messageRequest(c, c.params["model"])
	if err == nil {
		_, err = s.modelOf(c.api, req.model)
	}
	if err != nil {
		return reply{}, err
	}
	return jsonReply(http.StatusOK, struct {
		InputTokens int64 `json:"input_tokens"`
	}{req.prompt.tokens}), nil
}

// idPart is what ids have in them behind their prefix.
func (a *messageAnswer) idPart() string {
	switch a.via {
	case Bedrock:
		return "bdrk_"
	case Vertex:
		return "vrtx_"
	default:
		return "01"
	}
}

// head is the answer without its content.
func (a *messageAnswer) head() messageObject {
	return messageObject{
		Model: a.model, ID: a.digest.id("msg_"+a.idPart(), 0), Type: "message", Role: "assistant",
		Content: []answerBlock{},
	}
}

func (a *messageAnswer) object() messageObject {
	o := a.head()
	o.StopReason, o.StopDetails = new(a.stopReason()), json.RawMessage("null")
	if a.answer.reasoning > 0 {
		o.Content = append(o.Content, answerBlock{
			Type: "thinking", Thinking: new(thought), Signature: new(a.digest.signature()),
		})
	}
	if len(a.answer.deltas) > 0 {
		o.Content = append(o.Content, answerBlock{Type: "text", Text: new(a.answer.text())})
	}
	for j, tc := range a.answer.calls {
		block := a.callBlock(j)
		block.Input = json.RawMessage(tc.arguments)
		o.Content = append(o.Content, block)
	}
	if a.script.Report != ReportNone {
		o.Usage = a.wholeUsage(a.usage)
	}
	return o
}

// callBlock is the j-th call, without arguments.
func (a *messageAnswer) callBlock(j int) answerBlock {
	return answerBlock{
		Type: "tool_use", ID: a.digest.id("toolu_"+a.idPart(), j), Name: a.answer.calls[j].name,
		Input: json.RawMessage("{}"),
	}
}

func (a *messageAnswer) stopReason() string {
	switch {
	case len(a.answer.calls) > 0:
		return "tool_use"
	case a.answer.stopped:
		return "max_tokens"
	default:
		return "end_turn"
	}
}

// wholeUsage is usage with all that does not change while the answer grows.
func (a *messageAnswer) wholeUsage(u Usage) *messageUsage {
	usage := newMessageUsage(u)
	usage.CacheCreation = &cacheLifetimes{u.CacheWrite - u.CacheWrite1h, u.CacheWrite1h}
	if a.via != Bedrock {
		usage.ServiceTier, usage.InferenceGeo = "standard", "not_available"
	}
	return usage
}

func newMessageUsage(u Usage) *messageUsage {
	usage := &messageUsage{
		InputTokens:         u.Prompt - u.Cached - u.CacheWrite,
		CacheCreationTokens: u.CacheWrite,
		CacheReadTokens:     u.Cached,
		OutputTokens:        u.Completion,
	}
	if u.Reasoning > 0 {
		usage.OutputDetails = &outputDetails{u.Reasoning}
	}
	return usage
}

// anthropicModel is how Anthropic describes a model.
type anthropicModel struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	CreatedAt   string `json:"created_at"`
}

func newAnthropicModel(id string) anthropicModel {
	made := time.Unix(digestOf("model", []byte(id)).time(), 0).UTC()
	return anthropicModel{"model", id, id, made.Format(time.RFC3339)}
}

func (s *Server) listAnthropicModels(c *call) (reply, error) {
	if c.Header.Get("Anthropic-Version") == "" {
		return reply{}, badRequest("", "anthropic-version", "anthropic-version: the header is required.")
	}
	list := struct {
		Data    []anthropicModel `json:"data"`
		HasMore bool             `json:"has_more"`
		FirstID *string          `json:"first_id"`
		LastID  *string          `json:"last_id"`
	}{Data: []anthropicModel{}}
	for _, m := range s.models(Anthropic) {
		list.Data = append(list.Data, newAnthropicModel(m.ID))
	}
	if n := len(list.Data); n > 0 {
		list.FirstID, list.LastID = &list.Data[0].ID, &list.Data[n-1].ID
	}
	return jsonReply(http.StatusOK, list), nil
}

func (s *Server) retrieveAnthropicModel(c *call) (reply, error) {
	id := c.params["model"]
	if _, err := s.modelOf(Anthropic, id); err != nil {
		return reply{}, err
	}
	return jsonReply(http.StatusOK, newAnthropicModel(id)), nil
}
