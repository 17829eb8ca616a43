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

// DefaultModels returns the models of a [Server] whose options name none.
func DefaultModels() []Model {
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

// model returns the name under which the model that is asked for as id answers.
func (s *Server) model(id string) (string, error) {
	if id == "" {
		return "", missing("model")
	}
	m, ok := s.lookup(id)
	if !ok {
		return "", notFound("model_not_found", "model",
			"The model '%s' does not exist or you do not have access to it.", id)
	}
	if m.Snapshot != "" {
		return m.Snapshot, nil
	}
	return id, nil
}

func (s *Server) lookup(id string) (Model, bool) {
	i := slices.IndexFunc(s.models, func(m Model) bool { return m.ID == id || m.Snapshot == id })
	if i >= 0 {
		return s.models[i], true
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
	for i := range s.models {
		list.Data = append(list.Data, s.models[i].object(s.models[i].ID))
	}
	return jsonReply(http.StatusOK, list), nil
}

func (s *Server) retrieveModel(c *call) (reply, error) {
	id := c.params["id"]
	m, ok := s.lookup(id)
	if !ok {
		return reply{}, notFound("model_not_found", "model", "The model '%s' does not exist.", id)
	}
	return jsonReply(http.StatusOK, m.object(id)), nil
}
