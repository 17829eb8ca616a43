package gateway

import (
	"encoding/json"
	"net/http"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/keys"
)

// listing is the form in which a dialect lists models.
type listing int

const (
	listOpenAI listing = iota
	listAnthropic
	listGoogle
)

// listingOf returns the form that the client of x reads.
func listingOf(x *llmproxy.Exchange) listing {
	switch {
	case x.Operation.API == llmproxy.APIGenerateContent:
		return listGoogle
	case x.Header.Get("Anthropic-Version") != "":
		return listAnthropic
	}
	return listOpenAI
}

// reaches reports whether a client that reads l can talk to p in its own dialect. Whoever
// reads OpenAI's list may speak any.
func (l listing) reaches(p llmproxy.Provider) bool {
	api := map[listing]llmproxy.APIType{listAnthropic: llmproxy.APIMessages, listGoogle: llmproxy.APIGenerateContent}[l]
	if api == "" {
		return true
	}
	_, ok := p.API(api)
	return ok
}

// openAIModel is an entry of OpenAI's list. Pricing is ours: decimal dollars per million
// tokens, or per call.
type openAIModel struct {
	ID      string            `json:"id"`
	Object  string            `json:"object"`
	Created int64             `json:"created"` // not known: 0
	OwnedBy string            `json:"owned_by"`
	Pricing map[string]string `json:"pricing,omitempty"`
}

// keyLimit is what holds for all models together, of the key that asks.
type keyLimit struct {
	RPM       int64  `json:"rpm,omitempty"` // requests a minute
	TPM       int64  `json:"tpm,omitempty"` // tokens a minute
	BudgetUSD string `json:"budget_usd,omitempty"`
	Per       string `json:"per,omitempty"`
}

func limitOf(key *keys.Key) *keyLimit {
	if key == nil || key.RPM == 0 && key.TPM == 0 && !key.Budgeted() {
		return nil
	}
	l := &keyLimit{RPM: key.RPM, TPM: key.TPM}
	if key.Budgeted() {
		l.BudgetUSD, l.Per = key.Budget.String(), string(key.Per)
	}
	return l
}

// anthropicModel is an entry of Anthropic's list.
type anthropicModel struct {
	Type        string            `json:"type"`
	ID          string            `json:"id"`
	DisplayName string            `json:"display_name"`
	CreatedAt   string            `json:"created_at"` // not known: the epoch
	Pricing     map[string]string `json:"pricing,omitempty"`
}

// googleModel is an entry of Google's list.
type googleModel struct {
	Name        string            `json:"name"`
	DisplayName string            `json:"displayName"`
	Methods     []string          `json:"supportedGenerationMethods"`
	Pricing     map[string]string `json:"pricing,omitempty"`
}

// write returns list in the form of l, all of it: whoever asks for pages gets one.
func (l listing) write(list []model, key *keys.Key) ([]byte, error) {
	var body any
	switch l {
	case listAnthropic:
		page := struct {
			Data    []anthropicModel `json:"data"`
			HasMore bool             `json:"has_more"`
			FirstID *string          `json:"first_id"`
			LastID  *string          `json:"last_id"`
			Limits  *keyLimit        `json:"limits,omitempty"`
		}{Data: []anthropicModel{}, Limits: limitOf(key)}
		for _, m := range list {
			page.Data = append(page.Data, anthropicModel{"model", m.id, m.id, "1970-01-01T00:00:00Z", m.prices})
		}
		if n := len(list); n > 0 {
			page.FirstID, page.LastID = &list[0].id, &list[n-1].id
		}
		body = page
	case listGoogle:
		page := struct {
			Models []googleModel `json:"models"`
			Limits *keyLimit     `json:"limits,omitempty"`
		}{[]googleModel{}, limitOf(key)}
		for _, m := range list {
			page.Models = append(page.Models, googleModel{"models/" + m.id, m.id, []string{"generateContent", "countTokens"}, m.prices})
		}
		body = page
	case listOpenAI:
		page := struct {
			Object string        `json:"object"`
			Data   []openAIModel `json:"data"`
			Limits *keyLimit     `json:"limits,omitempty"`
		}{"list", []openAIModel{}, limitOf(key)}
		for _, m := range list {
			page.Data = append(page.Data, openAIModel{m.id, "model", 0, m.routes[0].provider.Name(), m.prices})
		}
		body = page
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, &llmproxy.Error{Status: http.StatusInternalServerError, Type: "server_error", Code: "internal_error", Message: "the list of models cannot be written"}
	}
	return append(text, '\n'), nil
}
