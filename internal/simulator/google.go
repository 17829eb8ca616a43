package simulator

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// googleReply is a JSON answer as Google writes it: indented.
func googleReply(status int, v any) reply {
	return bytesReply(status, "application/json; charset=UTF-8", append(indented(v), '\n'))
}

// indented returns v as JSON of several lines.
func indented(v any) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, encode(v), "", "  "); err != nil {
		panic("simulator: a value of its own does not indent: " + err.Error())
	}
	return b.Bytes()
}

// spaced returns v as one line of JSON with a space after each colon, as Google's streams
// have it.
func spaced(v any) []byte {
	var b bytes.Buffer
	inside, escaped := false, false // of a string; after a backslash
	for _, c := range encode(v) {
		b.WriteByte(c)
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			inside = !inside
		case c == ':' && !inside:
			b.WriteByte(' ')
		}
	}
	return b.Bytes()
}

// googleModelPath is where a model of Vertex is, below an API version.
const googleModelPath = "/projects/{project}/locations/{location}/publishers/google/models/{model...}"

func geminiRoutes() []route {
	routes := []route{
		{"/v1beta/models", http.MethodGet, false, (*Server).listGeminiModels},
		{"/v1beta/models/{model...}", http.MethodGet, false, (*Server).retrieveGeminiModel},
	}
	for _, version := range []string{"/v1beta", "/v1"} {
		routes = append(routes, googleVerbs(version+"/models/{model...}")...)
	}
	return routes
}

func vertexRoutes() []route {
	var routes []route
	for _, version := range []string{"/v1", "/v1beta1"} {
		routes = append(routes, googleVerbs(version+googleModelPath)...)
		routes = append(routes, googleVerbs(version+"/publishers/google/models/{model...}")...) // express mode
		claude := version + "/projects/{project}/locations/{location}/publishers/anthropic/models/"
		routes = append(
			routes,
			route{claude + "count-tokens:rawPredict", http.MethodPost, false, (*Server).countMessages},
			route{claude + "{model...}:rawPredict", http.MethodPost, false, (*Server).messages},
			route{claude + "{model...}:streamRawPredict", http.MethodPost, false, (*Server).messages},
		)
	}
	return routes
}

// googleVerbs returns the operations on a model whose path is given.
func googleVerbs(model string) []route {
	return []route{
		{model + ":generateContent", http.MethodPost, false, (*Server).generateContent},
		{model + ":streamGenerateContent", http.MethodPost, false, (*Server).streamGenerateContent},
		{model + ":countTokens", http.MethodPost, false, (*Server).countTokens},
		{model + ":embedContent", http.MethodPost, false, (*Server).embedContent},
		{model + ":batchEmbedContents", http.MethodPost, false, (*Server).batchEmbedContents},
		{model + ":predict", http.MethodPost, false, (*Server).predict},
	}
}

// googleModel is how a list describes a model.
type googleModel struct {
	Name             string   `json:"name"`
	Version          string   `json:"version"`
	DisplayName      string   `json:"displayName"`
	InputTokenLimit  int      `json:"inputTokenLimit"`
	OutputTokenLimit int      `json:"outputTokenLimit"`
	Methods          []string `json:"supportedGenerationMethods"`
}

func (m *Model) google() googleModel {
	return googleModel{
		"models/" + m.ID, "001", m.ID, 1 << 20, 1 << 16,
		[]string{"generateContent", "countTokens", "embedContent"},
	}
}

func (s *Server) listGeminiModels(*call) (reply, error) {
	list := struct {
		Models []googleModel `json:"models"`
	}{[]googleModel{}}
	for _, m := range s.models(Gemini) {
		list.Models = append(list.Models, m.google())
	}
	return googleReply(http.StatusOK, list), nil
}

func (s *Server) retrieveGeminiModel(c *call) (reply, error) {
	if _, err := s.modelOf(Gemini, c.params["model"]); err != nil {
		return reply{}, err
	}
	m := Model{ID: c.params["model"]}
	return googleReply(http.StatusOK, m.google()), nil
}
