package simulator

import (
	"encoding/base64"
	"encoding/json"
	"iter"
	"net/http"
	"strconv"
	"strings"
)

// bedrockModel refuses c if its path names no model.
func (s *Server) bedrockModel(c *call) error {
	if _, ok := s.lookup(Bedrock, c.params["model"]); !ok {
		return badRequest("", "modelId", "There is no model with the identifier %q.", c.params["model"])
	}
	return nil
}

// isClaude reports whether Bedrock's model takes Anthropic's bodies.
func isClaude(model string) bool {
	return strings.Contains(model, "anthropic") || strings.Contains(model, "claude") || strings.Contains(model, ":application-inference-profile/")
}

// claudeName returns the name under which Bedrock's model answers: without the parts of
// the identifier that are Bedrock's.
func claudeName(model string) string {
	if i := strings.LastIndex(model, "anthropic."); i >= 0 {
		model = model[i+len("anthropic."):]
	}
	if i := strings.LastIndex(model, "-v"); i > 0 && strings.Contains(model[i:], ":") {
		model = model[:i]
	}
	return model
}

// invokeAnswer answers a body of Anthropic's.
func (s *Server) invokeAnswer(c *call) (*messageAnswer, error) {
	if err := s.bedrockModel(c); err != nil {
		return nil, err
	}
	if !isClaude(c.params["model"]) {
		return nil, badRequest("", "modelId", "Only models of Anthropic can be invoked here.")
	}
	a, _, err := s.messageAnswer(c, c.params["model"])
	if err != nil {
		return nil, err
	}
	a.model = claudeName(a.model)
	return a, nil
}

func (s *Server) invoke(c *call) (reply, error) {
	a, err := s.invokeAnswer(c)
	if err != nil {
		return reply{}, err
	}
	if c.script.fails() {
		return reply{}, scripted(http.StatusInternalServerError)
	}
	rep := jsonReply(http.StatusOK, a.object())
	if c.script.Report != ReportNone {
		m := newInvocationMetrics(a.usage)
		for name, n := range map[string]int64{
			"Input-Token-Count":             m.InputTokenCount,
			"Output-Token-Count":            m.OutputTokenCount,
			"Cache-Read-Input-Token-Count":  m.CacheReadInputTokenCount,
			"Cache-Write-Input-Token-Count": m.CacheWriteInputTokenCount,
			"Invocation-Latency":            m.InvocationLatency,
		} {
			rep.header.Set("X-Amzn-Bedrock-"+name, strconv.FormatInt(n, 10))
		}
	}
	return rep, nil
}

func (s *Server) invokeStream(c *call) (reply, error) {
	a, err := s.invokeAnswer(c)
	if err != nil {
		return reply{}, err
	}
	rep := awsStream(a.chunks())
	rep.header.Set("X-Amzn-Bedrock-Content-Type", "application/json")
	return rep, nil
}

// invokedChunk wraps an event of the model's own API.
type invokedChunk struct {
	Bytes []byte `json:"bytes"` // in base64
	P     string `json:"p"`
}

// chunks returns the stream as Bedrock wraps it.
func (a *messageAnswer) chunks() iter.Seq[event] {
	return func(yield func(event) bool) {
		n := 0
		for e := range a.events() {
			if e.kind == "" {
				e = event{name: "chunk", data: encode(invokedChunk{e.data, a.digest.padding(n)})}
			}
			n++
			if !yield(e) {
				return
			}
		}
	}
}

// countBedrock counts what would be sent to Converse or to Invoke.
func (s *Server) countBedrock(c *call) (reply, error) {
	if err := s.bedrockModel(c); err != nil {
		return reply{}, err
	}
	n, err := countedByBedrock(c.body, c.params["model"])
	if err != nil {
		return reply{}, err
	}
	return jsonReply(http.StatusOK, struct {
		InputTokens int64 `json:"inputTokens"`
	}{n}), nil
}

func countedByBedrock(body []byte, model string) (int64, error) {
	f, err := parseFields(body)
	if err != nil {
		return 0, err
	}
	var input struct {
		Converse json.RawMessage `json:"converse"`
		Invoke   *struct {
			Body string `json:"body"`
		} `json:"invokeModel"`
	}
	err = f.read("input", &input)
	switch {
	case err != nil:
		return 0, err
	case input.Converse != nil:
		req, err := parseConverse(input.Converse, model)
		if err != nil {
			return 0, err
		}
		return req.prompt.tokens, nil
	case input.Invoke != nil && isClaude(model):
		inner, err := base64.StdEncoding.DecodeString(input.Invoke.Body)
		if err != nil {
			return 0, badRequest("", "input", "input.invokeModel.body is not base64.")
		}
		req, err := parseMessages(inner, Bedrock, model)
		if err != nil {
			return 0, err
		}
		return req.prompt.tokens, nil
	default:
		return 0, badRequest("", "input", "input must hold converse or invokeModel.")
	}
}
