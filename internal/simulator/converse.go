package simulator

import (
	"encoding/json"
	"iter"
	"net/http"
)

// converseOutput is an answer of Converse. Bedrock sorts its members by name.
type converseOutput struct {
	Metrics struct {
		LatencyMS int64 `json:"latencyMs"`
	} `json:"metrics"`
	Output struct {
		Message converseAnswer `json:"message"`
	} `json:"output"`
	StopReason string         `json:"stopReason"`
	Usage      *converseUsage `json:"usage,omitempty"`
}

type converseAnswer struct {
	Content []converseAnswerBlock `json:"content"`
	Role    string                `json:"role"`
}

// converseAnswerBlock is a part of an answer, and of a stream its piece.
type converseAnswerBlock struct {
	Reasoning *converseReasoning `json:"reasoningContent,omitempty"`
	Text      *string            `json:"text,omitempty"`
	ToolUse   *converseToolUse   `json:"toolUse,omitempty"`
}

type converseReasoning struct {
	ReasoningText *converseThought `json:"reasoningText,omitempty"`
	converseThought
}

type converseThought struct {
	Signature string `json:"signature,omitempty"`
	Text      string `json:"text,omitempty"`
}

type converseToolUse struct {
	Input json.RawMessage `json:"input,omitempty"`
	Name  string          `json:"name,omitempty"`
	ID    string          `json:"toolUseId,omitempty"`
}

// converseUsage keeps what was read from the cache and written to it beside the input.
// Some names have an alias.
type converseUsage struct {
	CacheDetails     []cacheDetail `json:"cacheDetails,omitempty"`
	CacheReadCount   int64         `json:"cacheReadInputTokenCount"`
	CacheReadTokens  int64         `json:"cacheReadInputTokens"`
	CacheWriteCount  int64         `json:"cacheWriteInputTokenCount"`
	CacheWriteTokens int64         `json:"cacheWriteInputTokens"`
	InputTokens      int64         `json:"inputTokens"`
	OutputTokens     int64         `json:"outputTokens"`
	ServerToolUsage  struct{}      `json:"serverToolUsage"`
	TotalTokens      int64         `json:"totalTokens"`
}

type cacheDetail struct {
	InputTokens int64  `json:"inputTokens"`
	TTL         string `json:"ttl"`
}

func newConverseUsage(u Usage) *converseUsage {
	usage := &converseUsage{
		CacheReadCount: u.Cached, CacheReadTokens: u.Cached,
		CacheWriteCount: u.CacheWrite, CacheWriteTokens: u.CacheWrite,
		InputTokens: u.Prompt - u.Cached - u.CacheWrite, OutputTokens: u.Completion,
		TotalTokens: u.Total(),
	}
	for _, d := range []cacheDetail{{u.CacheWrite1h, "1h"}, {u.CacheWrite - u.CacheWrite1h, "5m"}} {
		if d.InputTokens > 0 {
			usage.CacheDetails = append(usage.CacheDetails, d)
		}
	}
	return usage
}

// converseAnswers is all that an answer of Converse is made of.
type converseAnswers struct {
	*call
	answer generation
	usage  Usage
}

func (s *Server) converseAnswers(c *call) (*converseAnswers, error) {
	if err := s.bedrockModel(c); err != nil {
		return nil, err
	}
	req, err := parseConverse(c.body, c.params["model"])
	if err != nil {
		return nil, err
	}
	g := c.script.generate(&req.prompt)
	return &converseAnswers{
		call: c, answer: g,
		usage: c.script.total(req.marks.usage(req.prompt.tokens), []generation{g}),
	}, nil
}

func (s *Server) converse(c *call) (reply, error) {
	a, err := s.converseAnswers(c)
	if err != nil {
		return reply{}, err
	}
	if c.script.fails() {
		return reply{}, scripted(http.StatusInternalServerError)
	}
	return jsonReply(http.StatusOK, a.output()), nil
}

func (s *Server) converseStream(c *call) (reply, error) {
	a, err := s.converseAnswers(c)
	if err != nil {
		return reply{}, err
	}
	return awsStream(a.events()), nil
}

// awsStream is a stream in AWS's framing.
func awsStream(events iter.Seq[event]) reply {
	rep := streamReply(events)
	rep.framing = awsFrames
	rep.header.Set("Content-Type", "application/vnd.amazon.eventstream")
	return rep
}

// output returns the answer that is no stream.
func (a *converseAnswers) output() converseOutput {
	o := converseOutput{StopReason: a.stopReason()}
	o.Metrics.LatencyMS = 12
	content := []converseAnswerBlock{}
	if a.answer.reasoning > 0 {
		content = append(content, converseAnswerBlock{Reasoning: &converseReasoning{
			ReasoningText: &converseThought{Signature: a.digest.signature(), Text: thought},
		}})
	}
	if len(a.answer.deltas) > 0 {
		content = append(content, converseAnswerBlock{Text: new(a.answer.text())})
	}
	for j, tc := range a.answer.calls {
		content = append(content, converseAnswerBlock{ToolUse: &converseToolUse{
			Input: json.RawMessage(tc.arguments), Name: tc.name, ID: a.callID(j),
		}})
	}
	o.Output.Message = converseAnswer{content, "assistant"}
	if a.script.Report != ReportNone {
		o.Usage = newConverseUsage(a.usage)
	}
	return o
}

func (a *converseAnswers) callID(j int) string { return a.digest.id("tooluse_", j) }

func (a *converseAnswers) stopReason() string {
	switch {
	case len(a.answer.calls) > 0:
		return "tool_use"
	case a.answer.stopped:
		return "max_tokens"
	default:
		return "end_turn"
	}
}
