package simulator

// Items of the output of a response.

type messageItem struct {
	ID      string     `json:"id"`
	Type    string     `json:"type"`
	Status  string     `json:"status"`
	Role    string     `json:"role"`
	Content []textPart `json:"content"`
}

type textPart struct {
	Type        string     `json:"type"`
	Text        string     `json:"text"`
	Annotations []struct{} `json:"annotations"`
	Logprobs    []struct{} `json:"logprobs"`
}

func newTextPart(text string) textPart {
	return textPart{Type: "output_text", Text: text, Annotations: []struct{}{}, Logprobs: []struct{}{}}
}

type functionCallItem struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Status    string `json:"status"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type reasoningItem struct {
	ID      string     `json:"id"`
	Type    string     `json:"type"`
	Summary []struct{} `json:"summary"`
}

func (r *response) reasoningItem() reasoningItem {
	return reasoningItem{ID: r.digest.id("rs_", 0), Type: "reasoning", Summary: []struct{}{}}
}

// messageItem returns the text of r as an item; begun, with nothing in it yet.
func (r *response) messageItem(begun bool) messageItem {
	item := messageItem{
		ID: r.digest.id("msg_", 0), Type: "message", Status: "in_progress",
		Role: "assistant", Content: []textPart{},
	}
	if begun {
		return item
	}
	item.Status = "completed"
	if r.end() != "completed" {
		item.Status = "incomplete"
	}
	item.Content = append(item.Content, newTextPart(r.answer.text()))
	return item
}

// callItem returns the j-th call of r; begun, without its arguments.
func (r *response) callItem(j int, begun bool) functionCallItem {
	item := functionCallItem{
		ID: r.digest.id("fc_", j), Type: "function_call", Status: "in_progress",
		CallID: r.digest.id("call_", j), Name: r.answer.calls[j].name,
	}
	if !begun {
		item.Status, item.Arguments = "completed", r.answer.calls[j].arguments
	}
	return item
}

// output returns the finished items: reasoning, then a message or calls.
func (r *response) output() []any {
	items := []any{}
	if r.answer.reasoning > 0 {
		items = append(items, r.reasoningItem())
	}
	if len(r.answer.deltas) > 0 {
		items = append(items, r.messageItem(false))
	}
	for j := range r.answer.calls {
		items = append(items, r.callItem(j, false))
	}
	return items
}
