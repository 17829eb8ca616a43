package simulator

import (
	"cmp"
	"iter"
	"net/http"
	"slices"
)

// What Cohere processes besides what it bills, in tokens.
const (
	PreambleTokens = 64 // before the prompt
	MarkerTokens   = 2  // after the answer
)

// cohereAnswer is an answer of Cohere's Chat that is no stream.
type cohereAnswer struct {
	ID           string           `json:"id"`
	Message      cohereSaid       `json:"message"`
	FinishReason string           `json:"finish_reason"`
	Usage        *cohereChatUsage `json:"usage,omitempty"`
}

type cohereSaid struct {
	Role      string         `json:"role"`
	Content   []cohereBlock  `json:"content,omitempty"`
	ToolPlan  string         `json:"tool_plan,omitempty"`
	ToolCalls []chatToolCall `json:"tool_calls,omitempty"`
}

type cohereBlock struct {
	Type     string  `json:"type,omitempty"`
	Text     *string `json:"text,omitempty"`
	Thinking *string `json:"thinking,omitempty"`
}

// cohereChatUsage states what is billed and, apart from it, what was processed.
type cohereChatUsage struct {
	BilledUnits  cohereTokens `json:"billed_units"`
	Tokens       cohereTokens `json:"tokens"`
	CachedTokens int64        `json:"cached_tokens,omitempty"`
}

type cohereTokens struct {
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
}

func newCohereUsage(u Usage) *cohereChatUsage {
	return &cohereChatUsage{
		BilledUnits:  cohereTokens{u.Prompt, u.Completion},
		Tokens:       cohereTokens{u.Prompt + PreambleTokens, u.Completion + MarkerTokens},
		CachedTokens: u.Cached,
	}
}

// cohereAnswers is all that an answer of Chat is made of.
type cohereAnswers struct {
	*call
	answer generation
	usage  Usage
}

// plan is what Cohere says before it calls a tool.
const plan = "I will use a tool."

func (s *Server) cohereChat(c *call) (reply, error) {
	req, err := parseCohere(c.body)
	if err == nil {
		_, err = s.modelOf(Cohere, req.prompt.model)
	}
	if err != nil {
		return reply{}, err
	}
	g := c.script.generate(&req.prompt)
	a := &cohereAnswers{
		call: c, answer: g, usage: c.script.usage(req.prompt.tokens, []generation{g}),
	}
	switch {
	case req.stream:
		rep := streamReply(a.events())
		rep.header.Set("Content-Type", "text/event-stream")
		return rep, nil
	case c.script.fails():
		return reply{}, scripted(http.StatusInternalServerError)
	default:
		return jsonReply(http.StatusOK, a.object()), nil
	}
}

func (a *cohereAnswers) object() cohereAnswer {
	o := cohereAnswer{
		ID: a.digest.uuid(0), Message: cohereSaid{Role: "assistant"}, FinishReason: a.finishReason(),
	}
	m := &o.Message
	if a.answer.reasoning > 0 {
		m.Content = append(m.Content, cohereBlock{Type: "thinking", Thinking: new(thought)})
	}
	if len(a.answer.deltas) > 0 {
		m.Content = append(m.Content, cohereBlock{Type: "text", Text: new(a.answer.text())})
	}
	for j, tc := range a.answer.calls {
		m.ToolPlan = plan
		m.ToolCalls = append(m.ToolCalls, a.toolCall(j, tc.arguments))
	}
	if a.script.Report != ReportNone {
		o.Usage = newCohereUsage(a.usage)
	}
	return o
}

// toolCall is the j-th call.
func (a *cohereAnswers) toolCall(j int, arguments string) chatToolCall {
	name := a.answer.calls[j].name
	return chatToolCall{
		ID: a.digest.id(name+"_", j), Type: "function",
		Function: chatFunctionCall{Name: name, Arguments: arguments},
	}
}

func (a *cohereAnswers) finishReason() string {
	switch {
	case len(a.answer.calls) > 0:
		return "TOOL_CALL"
	case a.answer.stopped:
		return "MAX_TOKENS"
	default:
		return "COMPLETE"
	}
}

// cohereEvent is one event of a stream.
type cohereEvent struct {
	ID    string `json:"id,omitempty"`
	Type  string `json:"type"`
	Index *int   `json:"index,omitempty"`
	Delta any    `json:"delta,omitempty"`
}

// cohereDelta is what most events add to the message.
type cohereDelta struct {
	Message any `json:"message"`
}

type (
	cohereBegin struct {
		Role      string     `json:"role"`
		Content   []struct{} `json:"content"`
		ToolPlan  string     `json:"tool_plan"`
		ToolCalls []struct{} `json:"tool_calls"`
		Citations []struct{} `json:"citations"`
	}
	cohereContentDelta struct {
		Content cohereBlock `json:"content"`
	}
	coherePlanDelta struct {
		ToolPlan string `json:"tool_plan"`
	}
	cohereCallDelta struct {
		ToolCalls any `json:"tool_calls"`
	}
	cohereArguments struct {
		Function struct {
			Arguments string `json:"arguments"`
		} `json:"function"`
	}
	cohereEnd struct {
		Error        string           `json:"error,omitempty"`
		FinishReason string           `json:"finish_reason"`
		Usage        *cohereChatUsage `json:"usage,omitempty"`
	}
)

// cohereStream sends the events of a stream. After the consumer has had enough, nothing
// happens any more.
type cohereStream struct {
	yield   func(event) bool
	index   int
	stopped bool
}

func (st *cohereStream) send(e cohereEvent) {
	if !st.stopped {
		st.stopped = !st.yield(event{name: e.Type, data: encode(e)})
	}
}

// indexed sends an event about the content or the call that is open.
func (st *cohereStream) indexed(kind string, message any) {
	e := cohereEvent{Type: kind, Index: new(st.index)}
	if message != nil {
		e.Delta = cohereDelta{message}
	}
	st.send(e)
}

// events returns the stream.
func (a *cohereAnswers) events() iter.Seq[event] {
	return func(yield func(event) bool) {
		st := &cohereStream{yield: yield}
		none := []struct{}{}
		st.send(cohereEvent{ID: a.digest.uuid(0), Type: "message-start", Delta: cohereDelta{
			cohereBegin{"assistant", none, "", none, none},
		}})
		a.contents(st)
		a.calls(st)
		if a.script.Unfinished {
			return
		}
		end := cohereEnd{FinishReason: a.finishReason()}
		if a.script.fails() {
			end.FinishReason, end.Error = "ERROR", scripted(http.StatusInternalServerError).message
		}
		if a.script.Report != ReportNone && a.script.Ending != EndError {
			end.Usage = newCohereUsage(a.usage)
		}
		st.send(cohereEvent{Type: "message-end", Delta: end})
		if !a.script.NoDone && !st.stopped {
			yield(event{data: []byte("[DONE]")})
		}
	}
}

// contents sends the thought and the text. A failure leaves the text open.
func (a *cohereAnswers) contents(st *cohereStream) {
	if a.answer.reasoning > 0 {
		st.indexed("content-start", cohereContentDelta{cohereBlock{Type: "thinking", Thinking: new("")}})
		for _, text := range a.answer.thoughts() {
			st.indexed("content-delta", cohereContentDelta{cohereBlock{Thinking: &text}})
		}
		st.indexed("content-end", nil)
		st.index++
	}
	if len(a.answer.deltas) == 0 {
		return
	}
	st.indexed("content-start", cohereContentDelta{cohereBlock{Type: "text", Text: new("")}})
	for _, text := range a.answer.deltas {
		if st.stopped {
			return
		}
		st.indexed("content-delta", cohereContentDelta{cohereBlock{Text: &text}})
	}
	if !a.script.fails() && !a.script.Unfinished {
		st.indexed("content-end", nil)
	}
}

// calls sends the plan and the calls, which have places of their own.
func (a *cohereAnswers) calls(st *cohereStream) {
	if len(a.answer.calls) == 0 {
		return
	}
	for _, text := range deltas(plan) {
		st.send(cohereEvent{Type: "tool-plan-delta", Delta: cohereDelta{coherePlanDelta{text}}})
	}
	for j, tc := range a.answer.calls {
		st.index = j
		st.indexed("tool-call-start", cohereCallDelta{a.toolCall(j, "")})
		for _, part := range argumentDeltas(tc.arguments) {
			var arguments cohereArguments
			arguments.Function.Arguments = part
			st.indexed("tool-call-delta", cohereCallDelta{arguments})
		}
		st.indexed("tool-call-end", nil)
	}
}

// cohereMeta is what Embed and Rerank report.
type cohereMeta struct {
	APIVersion struct {
		Version string `json:"version"`
	} `json:"api_version"`
	BilledUnits *cohereUnits `json:"billed_units,omitempty"`
}

type cohereUnits struct {
	InputTokens int64 `json:"input_tokens,omitempty"`
	SearchUnits int64 `json:"search_units,omitempty"`
}

// cohereMeta returns what is billed, as c's script wants it.
func (c *call) cohereMeta(u Usage) cohereMeta {
	meta := cohereMeta{}
	meta.APIVersion.Version = "2"
	if c.script.Report != ReportNone {
		u = c.script.Counts.apply(u)
		meta.BilledUnits = &cohereUnits{u.Prompt, u.SearchUnits}
	}
	return meta
}

func (s *Server) cohereEmbed(c *call) (reply, error) {
	req, err := parseCohereEmbed(c.body)
	if err == nil {
		_, err = s.modelOf(Cohere, req.model)
	}
	if err != nil {
		return reply{}, err
	}
	answer := struct {
		ID         string `json:"id"`
		Embeddings struct {
			Float [][]float32 `json:"float"`
		} `json:"embeddings"`
		Texts        []string   `json:"texts"`
		Meta         cohereMeta `json:"meta"`
		ResponseType string     `json:"response_type"`
	}{
		ID: c.digest.uuid(0), Texts: req.texts, Meta: c.cohereMeta(Usage{Prompt: req.tokens()}),
		ResponseType: "embeddings_by_type",
	}
	for _, text := range req.texts {
		answer.Embeddings.Float = append(answer.Embeddings.Float, embed(text, req.length))
	}
	return jsonReply(http.StatusOK, answer), nil
}

type rerankResult struct {
	Index          int     `json:"index"`
	RelevanceScore float64 `json:"relevance_score"`
}

// cohereRerank scores a document by how many of the words of the query it has.
func (s *Server) cohereRerank(c *call) (reply, error) {
	req, err := parseRerank(c.body)
	if err == nil {
		_, err = s.modelOf(Cohere, req.model)
	}
	if err != nil {
		return reply{}, err
	}
	answer := struct {
		ID      string         `json:"id"`
		Results []rerankResult `json:"results"`
		Meta    cohereMeta     `json:"meta"`
	}{ID: c.digest.uuid(0), Meta: c.cohereMeta(Usage{SearchUnits: req.searchUnits()})}
	for i, document := range req.texts {
		answer.Results = append(answer.Results, rerankResult{i, relevance(req.query, document)})
	}
	slices.SortStableFunc(answer.Results, func(a, b rerankResult) int { return cmp.Compare(b.RelevanceScore, a.RelevanceScore) })
	if req.top > 0 && req.top < len(answer.Results) {
		answer.Results = answer.Results[:req.top]
	}
	return jsonReply(http.StatusOK, answer), nil
}
