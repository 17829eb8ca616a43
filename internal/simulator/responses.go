package simulator

import (
	"encoding/json"
	"net/http"
)

// responseObject is a response, as an answer and inside the events of a stream.
type responseObject struct {
	ID                 string             `json:"id"`
	Object             string             `json:"object"`
	CreatedAt          int64              `json:"created_at"`
	Status             string             `json:"status"`
	Background         bool               `json:"background"`
	CompletedAt        *int64             `json:"completed_at"`
	Error              *responseError     `json:"error"`
	FrequencyPenalty   json.RawMessage    `json:"frequency_penalty"`
	IncompleteDetails  *incompleteDetails `json:"incomplete_details"`
	Instructions       json.RawMessage    `json:"instructions"`
	MaxOutputTokens    json.RawMessage    `json:"max_output_tokens"`
	MaxToolCalls       json.RawMessage    `json:"max_tool_calls"`
	Model              string             `json:"model"`
	Output             []any              `json:"output,omitzero"` // nil is left out
	ParallelToolCalls  bool               `json:"parallel_tool_calls"`
	PresencePenalty    json.RawMessage    `json:"presence_penalty"`
	PreviousResponseID *string            `json:"previous_response_id"`
	PromptCacheKey     json.RawMessage    `json:"prompt_cache_key"`
	Reasoning          json.RawMessage    `json:"reasoning"`
	SafetyIdentifier   json.RawMessage    `json:"safety_identifier"`
	ServiceTier        string             `json:"service_tier"`
	Store              bool               `json:"store"`
	Temperature        json.RawMessage    `json:"temperature"`
	Text               json.RawMessage    `json:"text"`
	ToolChoice         json.RawMessage    `json:"tool_choice"`
	Tools              []json.RawMessage  `json:"tools"`
	TopLogprobs        json.RawMessage    `json:"top_logprobs"`
	TopP               json.RawMessage    `json:"top_p"`
	Truncation         json.RawMessage    `json:"truncation"`
	Usage              *responseUsage     `json:"usage"`
	User               json.RawMessage    `json:"user"`
	Metadata           json.RawMessage    `json:"metadata"`
}

type responseError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type incompleteDetails struct {
	Reason string `json:"reason"`
}

// responseUsage is the usage object of Responses.
type responseUsage struct {
	InputTokens   int64                 `json:"input_tokens"`
	InputDetails  responseInputDetails  `json:"input_tokens_details"`
	OutputTokens  int64                 `json:"output_tokens"`
	OutputDetails responseOutputDetails `json:"output_tokens_details"`
	TotalTokens   int64                 `json:"total_tokens"`
}

type responseInputDetails struct {
	CachedTokens     int64 `json:"cached_tokens"`
	CacheWriteTokens int64 `json:"cache_write_tokens,omitempty"`
}

type responseOutputDetails struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

func newResponseUsage(u Usage) *responseUsage {
	return &responseUsage{
		InputTokens: u.Prompt, InputDetails: responseInputDetails{u.Cached, u.CacheWrite},
		OutputTokens: u.Completion, OutputDetails: responseOutputDetails{u.Reasoning},
		TotalTokens: u.Total(),
	}
}

// response is one response of the API, with all that its events are made of.
type response struct {
	request *responseRequest
	script  Script
	digest  digest
	model   string
	tokens  int64 // of the prompt, the conversation before it included
	answer  generation
	watcher watcher // nil: nobody interferes
	alias   string  // the id; empty: that of the digest
	stopped string  // why the answer was broken off before its end; empty: it was not

	discarded int64 // tokens of the answer that are not in the output
}

// watcher interferes with a response while its events are made.
type watcher interface {
	// stops returns why the answer shall end here; empty: it goes on. asks says that it
	// is about to call tools.
	stops(asks bool) (reason string, discard bool)
	// seal is told that the terminal event comes next: nothing changes any more.
	seal()
}

// createResponse answers POST /responses.
func (s *Server) createResponse(c *call) (reply, error) {
	req, err := parseResponse(c.body)
	if err == nil {
		err = req.requireInput()
	}
	if err != nil {
		return reply{}, err
	}
	model, err := s.model(req.model)
	if err != nil {
		return reply{}, err
	}
	before, err := s.responses.before(req)
	if err != nil {
		return reply{}, err
	}
	r := &response{
		request: req, script: c.script, digest: c.digest, model: model,
		tokens: before.tokens + req.prompt.tokens,
		answer: req.generate(&c.script),
	}
	stored := after(r, before)
	s.responses.put(stored)
	switch {
	case req.stream:
		return streamReply(r.events()), nil
	case req.background:
		return jsonReply(http.StatusOK, stored.object()), nil
	default:
		return jsonReply(http.StatusOK, r.object(r.end())), nil
	}
}

// generate answers r as the rules of the package and s want it.
func (r *responseRequest) generate(s *Script) generation {
	if r.warmUp {
		return generation{}
	}
	return s.generate(&r.prompt)
}

func (r *response) id() string {
	if r.alias != "" {
		return r.alias
	}
	return r.digest.id("resp_", 0)
}

// end returns the status with which r ends.
func (r *response) end() string {
	switch {
	case r.script.fails():
		return "failed"
	case r.answer.stopped:
		return "incomplete"
	default:
		return "completed"
	}
}

// object returns r in the given status.
func (r *response) object(status string) responseObject {
	f := r.request.fields
	echo := func(name, def string) json.RawMessage {
		if raw, ok := f[name]; ok {
			return raw
		}
		return json.RawMessage(def)
	}
	o := responseObject{
		ID: r.id(), Object: "response", CreatedAt: r.digest.time(), Status: status,
		Background:         r.request.background,
		FrequencyPenalty:   echo("frequency_penalty", "0"),
		Instructions:       echo("instructions", "null"),
		MaxOutputTokens:    echo("max_output_tokens", "null"),
		MaxToolCalls:       echo("max_tool_calls", "null"),
		Model:              r.model,
		Output:             []any{},
		ParallelToolCalls:  r.request.prompt.parallel,
		PresencePenalty:    echo("presence_penalty", "0"),
		PreviousResponseID: orNull(r.request.previous),
		PromptCacheKey:     echo("prompt_cache_key", "null"),
		Reasoning:          echo("reasoning", `{"effort":null,"summary":null}`),
		SafetyIdentifier:   echo("safety_identifier", "null"),
		ServiceTier:        r.request.tier,
		Store:              r.request.store,
		Temperature:        echo("temperature", "1"),
		Text:               echo("text", `{"format":{"type":"text"}}`),
		ToolChoice:         echo("tool_choice", `"auto"`),
		Tools:              r.tools(),
		TopLogprobs:        echo("top_logprobs", "0"),
		TopP:               echo("top_p", "1"),
		Truncation:         echo("truncation", `"disabled"`),
		User:               echo("user", "null"),
		Metadata:           echo("metadata", "{}"),
	}
	switch status {
	case "completed":
		o.CompletedAt = new(r.digest.time() + 1)
	case "incomplete":
		o.IncompleteDetails = &incompleteDetails{r.reason()}
	case "failed":
		f := r.script.fault(http.StatusInternalServerError)
		o.Error = &responseError{f.code, f.message}
	default:
		return o // no end yet, or cancelled: neither output nor usage
	}
	o.Output = r.output()
	if r.script.Report != ReportNone {
		o.Usage = newResponseUsage(r.usage())
	}
	return o
}

// reason returns why an incomplete response is that.
func (r *response) reason() string {
	if r.stopped != "" {
		return r.stopped
	}
	return "max_output_tokens"
}

func (r *response) usage() Usage {
	return r.request.usage(&r.script, r.tokens, r.answer)
}

// usage returns what r and its answer consumed, of a prompt of so many tokens. What is
// only warmed up is written to the cache.
func (r *responseRequest) usage(s *Script, tokens int64, answer generation) Usage {
	if r.warmUp {
		return s.total(Usage{Prompt: tokens, CacheWrite: cached(tokens)}, nil)
	}
	return s.usage(tokens, []generation{answer})
}

// breakOff ends r's text for reason after n deltas. The message is left out where it is
// to be discarded, or empty.
func (r *response) breakOff(reason string, n int, discard bool) {
	r.stopped, r.answer.stopped = reason, true
	r.answer.tokens = r.answer.reasoning + int64(n) // each delta is one word
	r.answer.deltas = r.answer.deltas[:n]
	if discard {
		r.answer.deltas, r.discarded = nil, int64(n)
	}
}

// breakOffCalls ends r for reason after n calls.
func (r *response) breakOffCalls(reason string, n int) {
	r.stopped, r.answer.stopped = reason, true
	r.answer.calls = r.answer.calls[:n]
	r.answer.tokens = r.answer.reasoning
	for _, c := range r.answer.calls {
		r.answer.tokens += c.tokens()
	}
}

// stops asks the watcher of r.
func (r *response) stops(asks bool) (reason string, discard bool) {
	if r.watcher == nil {
		return "", false
	}
	return r.watcher.stops(asks)
}

// tools repeats the tools of the request, functions with all their members.
func (r *response) tools() []json.RawMessage {
	tools := []json.RawMessage{}
	// The request has been parsed with more demands on its tools.
	_ = r.request.fields.read("tools", &tools)
	for i, raw := range tools {
		var function struct {
			Type        string          `json:"type"`
			Name        string          `json:"name"`
			Description json.RawMessage `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
			Strict      json.RawMessage `json:"strict"`
		}
		if err := json.Unmarshal(raw, &function); err == nil && function.Type == "function" {
			tools[i] = encode(function)
		}
	}
	return tools
}
