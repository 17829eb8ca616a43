package simulator

import (
	"net/http"
	"slices"
)

// Model is a model that the provider has.
type Model struct {
	ID string
	// Snapshot is the name under which answers report the model; it may be asked for
	// too. Empty: the ID.
	Snapshot string
	OwnedBy  string // empty: system
}

// DefaultModels returns the models that an API has where the options of the [Server]
// name none.
func DefaultModels(api API) []Model {
	gemini := []Model{
		{ID: "gemini-2.5-flash"},
		{ID: "gemini-2.5-think"},
		{ID: "gemini-3-flash-preview"},
		{ID: "gemini-embedding-001"},
	}
	switch api {
	case OpenAI, Azure:
		return openAIModels()
	case Anthropic:
		return []Model{
			{ID: "claude-sonnet-4-5", Snapshot: "claude-sonnet-4-5-20250929"},
			{ID: "claude-haiku-4-5", Snapshot: "claude-haiku-4-5-20251001"},
			{ID: "claude-think-1"},
		}
	case Gemini:
		return gemini
	case Vertex:
		return append(gemini, Model{ID: "claude-sonnet-4-5@20250929"}, Model{ID: "claude-think-1"})
	case Bedrock:
		return []Model{
			{ID: "anthropic.claude-sonnet-4-5-20250929-v1:0"},
			{ID: "us.anthropic.claude-sonnet-4-5-20250929-v1:0"},
			{ID: "us.anthropic.claude-think-1-v1:0"},
			{ID: "amazon.nova-micro-v1:0"},
			{ID: "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-micro-v1:0"},
		}
	case Cohere:
		return []Model{
			{ID: "command-r7b-12-2024"},
			{ID: "command-a-reasoning-08-2025"},
			{ID: "embed-v4.0"},
			{ID: "rerank-v3.5"},
		}
	}
	return nil
}

func openAIModels() []Model {
	return []Model{
		{ID: "gpt-5-mini", Snapshot: "gpt-5-mini-2025-08-07"},
		{ID: "gpt-5-reason"},
		{ID: "gpt-4o-mini", Snapshot: "gpt-4o-mini-2024-07-18"},
		{ID: "gpt-3.5-turbo-instruct"},
		{ID: "text-embedding-3-small"},
		{ID: "gpt-image-1"},
		{ID: "whisper-1"},
		{ID: "gpt-4o-transcribe"},
	}
}

// models returns the models that api has.
func (s *Server) models(api API) []Model {
	if s.options.Models != nil {
		return s.options.Models
	}
	return DefaultModels(api)
}

// model returns the name under which the model that is asked for as id answers in
// OpenAI's API.
func (s *Server) model(id string) (string, error) { return s.modelOf(OpenAI, id) }

// modelOf returns the name under which api's model that is asked for as id answers.
func (s *Server) modelOf(api API, id string) (string, error) {
	if id == "" {
		return "", missing("model")
	}
	m, ok := s.lookup(api, id)
	if !ok {
		return "", notFound("model_not_found", "model",
			"The model '%s' does not exist or you do not have access to it.", id)
	}
	if m.Snapshot != "" {
		return m.Snapshot, nil
	}
	return id, nil
}

func (s *Server) lookup(api API, id string) (Model, bool) {
	models := s.models(api)
	i := slices.IndexFunc(models, func(m Model) bool { return m.ID == id || m.Snapshot == id })
	if i >= 0 {
		return models[i], true
	}
	return Model{ID: id}, s.options.AnyModel
}

type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func (m *Model) object(id string) modelObject {
	owner := m.OwnedBy
	if owner == "" {
		owner = "system"
	}
	return modelObject{ID: id, Object: "model", Created: digestOf("model", []byte(id)).time(), OwnedBy: owner}
}

func (s *Server) listModels(*call) (reply, error) {
	list := struct {
		Object string        `json:"object"`
		Data   []modelObject `json:"data"`
	}{"list", []modelObject{}}
	for _, m := range s.models(OpenAI) {
		list.Data = append(list.Data, m.object(m.ID))
	}
	return jsonReply(http.StatusOK, list), nil
}

func (s *Server) retrieveModel(c *call) (reply, error) {
	id := c.params["id"]
	m, ok := s.lookup(OpenAI, id)
	if !ok {
		return reply{}, notFound("model_not_found", "model", "The model '%s' does not exist.", id)
	}
	return jsonReply(http.StatusOK, m.object(id)), nil
}
