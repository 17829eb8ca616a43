package simulator

import "net/http"

// azureRoutes are the operations of OpenAI in Azure: with a deployment in the path, with
// a dated version in the query, and below /openai/v1 with neither.
func azureRoutes() []route {
	const deployment = "/openai/deployments/{model}"
	routes := []route{
		{deployment + "/chat/completions", http.MethodPost, false, deployed((*Server).chat)},
		{deployment + "/completions", http.MethodPost, false, deployed((*Server).completions)},
		{deployment + "/embeddings", http.MethodPost, false, deployed((*Server).embeddings)},
		{deployment + "/images/generations", http.MethodPost, false, deployed((*Server).images)},
	}
	for _, rt := range openAIRoutes() {
		rest := rt.pattern
		rt.pattern = azureV1 + rest
		routes = append(routes, rt)
		rt.pattern, rt.serve = "/openai"+rest, dated(rt.serve)
		routes = append(routes, rt)
	}
	return routes
}

// azureV1 is where no version is asked for.
const azureV1 = "/openai/v1"

type handler = func(*Server, *call) (reply, error)

// deployed returns serve for the model that the path names, whatever the body says.
func deployed(serve handler) handler {
	return dated(func(s *Server, c *call) (reply, error) {
		c.body = withModel(c.body, c.params["model"])
		return serve(s, c)
	})
}

// withModel returns a JSON object with another model; what is none stays.
func withModel(body []byte, model string) []byte {
	f, err := parseFields(body)
	if err != nil {
		return body
	}
	f["model"] = encode(model)
	return encode(f)
}

// dated returns serve for requests that name a version.
func dated(serve handler) handler {
	return func(s *Server, c *call) (reply, error) {
		if c.URL.Query().Get("api-version") == "" {
			return reply{}, notFound("", "", "Resource not found: %s needs an api-version.", c.URL.Path)
		}
		return serve(s, c)
	}
}

// contentFilters is what Azure's filters found in a text: nothing.
type contentFilters struct {
	Hate     *contentFilter `json:"hate,omitempty"`
	SelfHarm *contentFilter `json:"self_harm,omitempty"`
	Sexual   *contentFilter `json:"sexual,omitempty"`
	Violence *contentFilter `json:"violence,omitempty"`
}

type contentFilter struct {
	Filtered bool   `json:"filtered"`
	Severity string `json:"severity"`
}

// promptFilter is what they found in a prompt.
type promptFilter struct {
	PromptIndex int             `json:"prompt_index"`
	Results     *contentFilters `json:"content_filter_results"`
}

// filters returns what c's filters found; nil where there are none.
func (c *call) filters() *contentFilters {
	if c.api != Azure {
		return nil
	}
	safe := &contentFilter{false, "safe"}
	return &contentFilters{safe, safe, safe, safe}
}

// promptFilters returns what they found in the prompt.
func (c *call) promptFilters() []promptFilter {
	if c.api != Azure {
		return nil
	}
	return []promptFilter{{0, c.filters()}}
}

// azurePrelude is the chunk with which Azure begins a stream of Chat Completions.
type azurePrelude struct {
	Choices       []struct{}     `json:"choices"`
	Created       int64          `json:"created"`
	ID            string         `json:"id"`
	Model         string         `json:"model"`
	Object        string         `json:"object"`
	PromptFilters []promptFilter `json:"prompt_filter_results"`
}
