package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
)

// inputItems answers GET /responses/{id}/input_items.
func (s *Server) inputItems(c *call) (reply, error) {
	stored, err := s.responses.get(c.params["id"])
	if err != nil {
		return reply{}, err
	}
	query := c.URL.Query()
	limit := 20
	if raw := query.Get("limit"); raw != "" {
		limit, err = strconv.Atoi(raw)
		if err != nil || limit < 1 || limit > 100 {
			return reply{}, badRequest("invalid_value", "limit", "'limit' must be between 1 and 100.")
		}
	}
	items := slices.Clone(stored.request.items)
	if query.Get("order") != "asc" {
		slices.Reverse(items)
	}
	if after := query.Get("after"); after != "" {
		i := slices.IndexFunc(items, func(item json.RawMessage) bool { return itemID(item) == after })
		items = items[i+1:]
	}
	list := struct {
		Object  string            `json:"object"`
		Data    []json.RawMessage `json:"data"`
		FirstID string            `json:"first_id"`
		LastID  string            `json:"last_id"`
		HasMore bool              `json:"has_more"`
	}{Object: "list", Data: items[:min(limit, len(items))], HasMore: len(items) > limit}
	if n := len(list.Data); n > 0 {
		list.FirstID, list.LastID = itemID(list.Data[0]), itemID(list.Data[n-1])
	}
	return jsonReply(http.StatusOK, list), nil
}

func itemID(item json.RawMessage) string {
	var v struct {
		ID string `json:"id"`
	}
	// An item without a readable id has none.
	_ = json.Unmarshal(item, &v)
	return v.ID
}

// countInput answers POST /responses/input_tokens.
func (s *Server) countInput(c *call) (reply, error) {
	req, err := parseResponse(c.body)
	if err != nil {
		return reply{}, err
	}
	if _, err := s.model(req.model); err != nil {
		return reply{}, err
	}
	before, err := s.responses.before(req)
	if err != nil {
		return reply{}, err
	}
	return jsonReply(http.StatusOK, struct {
		Object      string `json:"object"`
		InputTokens int64  `json:"input_tokens"`
	}{"response.input_tokens", before.tokens + req.prompt.tokens}), nil
}

// compact answers POST /responses/compact: the messages of the user, and an item that
// stands for the rest.
func (s *Server) compact(c *call) (reply, error) {
	req, err := parseResponse(c.body)
	if err == nil {
		err = req.requireInput()
	}
	if err != nil {
		return reply{}, err
	}
	if _, err := s.model(req.model); err != nil {
		return reply{}, err
	}
	before, err := s.responses.before(req)
	if err != nil {
		return reply{}, err
	}
	object := struct {
		ID        string         `json:"id"`
		Object    string         `json:"object"`
		CreatedAt int64          `json:"created_at"`
		Output    []any          `json:"output"`
		Usage     *responseUsage `json:"usage"`
	}{ID: c.digest.id("resp_", 0), Object: "response.compaction", CreatedAt: c.digest.time()}
	for _, item := range req.items {
		if isUserMessage(item) {
			object.Output = append(object.Output, item)
		}
	}
	object.Output = append(object.Output, struct {
		ID               string `json:"id"`
		Type             string `json:"type"`
		EncryptedContent string `json:"encrypted_content"`
	}{c.digest.id("cmp_", 0), "compaction", c.digest.id("gAAAA", 0)})
	if c.script.Report != ReportNone {
		tokens := before.tokens + req.prompt.tokens
		object.Usage = newResponseUsage(c.script.usage(tokens, []generation{{tokens: CompactionTokens}}))
	}
	return jsonReply(http.StatusOK, object), nil
}

func isUserMessage(item json.RawMessage) bool {
	var v struct {
		Type string `json:"type"`
		Role string `json:"role"`
	}
	err := json.Unmarshal(item, &v)
	return err == nil && v.Type == "message" && v.Role == "user"
}
