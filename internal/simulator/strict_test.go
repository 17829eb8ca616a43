package simulator_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// TestStrictSurfaces holds that what a translator gets wrong is refused, and that what
// comes close to it is not.
func TestStrictSurfaces(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{AnyModel: true})
	messages := func(members, list string) string {
		return `{"model":"m","max_tokens":2000,` + members + `"messages":[` + list + `]}`
	}
	user := `{"role":"user","content":"x"}`
	call := `{"role":"assistant","content":[{"type":"tool_use","id":"t_1","name":"f","input":{}}]}`
	result := `{"role":"user","content":[{"type":"tool_result","tool_use_id":"t_1","content":"r"},{"type":"text","text":"and"}]}`
	mark := `{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}`
	gemini := func(members, list string) string { return `{` + members + `"contents":[` + list + `]}` }
	gUser := `{"role":"user","parts":[{"text":"x"}]}`
	gCall := `{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]}`
	gSigned := `{"role":"model","parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"s"}]}`
	gResult := `{"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]}`
	gTool := func(schema string) string {
		return `"tools":[{"functionDeclarations":[{"name":"f","parameters":` + schema + `}]}],`
	}
	converse := func(members, list string) string { return `{` + members + `"messages":[` + list + `]}` }
	cUser := `{"role":"user","content":[{"text":"x"}]}`
	cCall := `{"role":"assistant","content":[{"toolUse":{"toolUseId":"t_1","name":"f","input":{}}}]}`
	cResult := `{"role":"user","content":[{"toolResult":{"toolUseId":"t_1","content":[{"text":"r"},{"json":{"a":1}}]}}]}`
	cTools := `"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{}}}}]},`
	const m, g, g3, c, v = "/v1/messages", "/v1beta/models/m:generateContent", "/v1beta/models/gemini-3-x:generateContent", "/model/m/converse", "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict"
	for _, tt := range []struct {
		path, body string
		want       string // of the message; empty: no refusal
	}{
		{m, messages("", user), ""},
		{m, messages("", ""), "at least one message"},
		{m, `{"model":"m","messages":[` + user + `]}`, "max_tokens"},
		{m, `{"max_tokens":9,"messages":[` + user + `]}`, "'model'"},
		{m, `[]`, "not a JSON object"},
		{m, `{"model":"m","max_tokens":0,"messages":[` + user + `]}`, "at least 1"},
		{m, messages("", `{"role":"assistant","content":"x"}`), "must be the user's"},
		{m, messages("", `{"role":"system","content":"s"},`+user), ""},
		{m, messages("", `{"role":"tool","content":"x"}`), "messages.0.role"},
		{m, messages("", user+","+user), ""},
		{m, messages("", `{"role":"user","content":[{"type":"text","text":""}]}`), "must not be empty"},
		{m, messages("", `{"role":"user","content":1}`), "Invalid type for 'messages"},
		{m, messages("", user+","+call+","+result), ""},
		{m, messages("", user+","+call+","+user), "no tool_result for the tool_use"},
		{m, messages("", user+","+call), ""},
		{m, messages("", user+","+`{"role":"assistant","content":"x"},`+result), "for no tool_use"},
		{m, messages("", user+","+strings.Replace(call, "t_1", "call:1", 1)), "must match"},
		{m, messages("", user+","+strings.Replace(call, "{}", `"{}"`, 1)), "must be an object"},
		{m, messages("", user+","+call+","+`{"role":"user","content":[{"type":"text","text":"and"},{"type":"tool_result","tool_use_id":"t_1","content":"r"}]}`), "must come first"},
		{m, messages(`"temperature":1,`, user), ""},
		{m, messages(`"temperature":1.5,`, user), "between 0 and 1"},
		{m, messages(`"temperature":"x",`, user), "Invalid type for 'temperature'"},
		{m, messages(`"stream_options":{},`, user), "stream_options: not a member"},
		{m, messages(`"max_completion_tokens":5,`, user), "not a member"},
		{m, messages(`"contents":[],`, user), "not a member"},
		{m, messages(`"anthropic_version":"bedrock-2023-05-31",`, user), "not a member"},
		{m, messages(`"tools":[{"name":"f"}],`, user), "input_schema"},
		{m, messages(`"tools":[{"type":"web_search_20250305","name":"web_search"}],`, user), ""},
		{m, messages(`"tool_choice":"auto",`, user), "tool_choice"},
		{m, messages(`"tool_choice":{"type":"required"},`, user), "tool_choice.type"},
		{m, messages(`"thinking":{"type":"enabled","budget_tokens":1024},`, user), ""},
		{m, messages(`"thinking":{"type":"enabled","budget_tokens":1000},`, user), "at least 1024"},
		{m, messages(`"thinking":{"type":"enabled","budget_tokens":2000},`, user), "must be greater"},
		{m, messages(`"thinking":{"type":"enabled","budget_tokens":1024},"tool_choice":{"type":"any"},`, user), "forces a call"},
		{m, messages("", `{"role":"user","content":[`+strings.Repeat(mark+",", 3)+mark+`]}`), ""},
		{m, messages("", `{"role":"user","content":[`+strings.Repeat(mark+",", 4)+mark+`]}`), "At most 4"},

		{v, `{"anthropic_version":"vertex-2023-10-16","max_tokens":9,"messages":[` + user + `]}`, ""},
		{v, `{"anthropic_version":"2026-10-21","max_tokens":9,"messages":[` + user + `]}`, ""},
		{v, `{"anthropic_version":"2026-10-21","top_k":3,"max_tokens":9,"messages":[` + user + `]}`, "top_k: not supported"},
		{v, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[` + user + `]}`, "is not one of"},
		{v, `{"max_tokens":9,"messages":[` + user + `]}`, "anthropic_version"},
		{v, `{"anthropic_version":"vertex-2023-10-16","model":"m","max_tokens":9,"messages":[` + user + `]}`, "model: not a member"},
		{v, `{"anthropic_version":"vertex-2023-10-16","anthropic_beta":["b"],"max_tokens":9,"messages":[` + user + `]}`, "anthropic_beta: not a member"},
		{v, `{"anthropic_version":"vertex-2023-10-16","stream":true,"max_tokens":9,"messages":[` + user + `]}`, "streamRawPredict"},
		{"/model/anthropic.m/invoke", `{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["b"],"max_tokens":9,"messages":[` + user + `]}`, ""},
		{"/model/anthropic.m/invoke", `{"anthropic_version":"bedrock-2023-05-31","stream":true,"max_tokens":9,"messages":[` + user + `]}`, "stream: not a member"},
		{"/model/anthropic.m/invoke", messages(`"anthropic_version":"bedrock-2023-05-31",`, user), "model: not a member"},
		{"/model/anthropic.m/invoke", `{"max_tokens":9,"messages":[` + user + `]}`, "anthropic_version"},
		{"/model/amazon.m/invoke", `{}`, "Only models of Anthropic"},
		{"/model/m/count-tokens", `{}`, "input must hold"},
		{"/model/m/count-tokens", `{"input":{"converse":null}}`, "not a JSON object"},
		{"/model/anthropic.m/count-tokens", `{"input":{"invokeModel":{"body":"{}"}}}`, "not base64"},

		{g, gemini("", gUser), ""},
		{g, gemini("", ""), "contents holds no turn"},
		{g, gemini(`"model":"m",`, gUser), `Unknown name \"model\"`},
		{g, gemini(`"stream":true,`, gUser), `Unknown name \"stream\"`},
		{g, gemini(`"max_tokens":5,`, gUser), `Unknown name \"max_tokens\"`},
		{g, gemini(`"system_instruction":{"parts":[{"text":"s"}]},"generation_config":{},`, gUser), ""},
		{g, gemini("", `{"role":"assistant","parts":[{"text":"x"}]}`), "Role"},
		{g, gemini("", `{"role":"user","parts":[]}`), "must not be empty"},
		{g, gemini("", gUser+","+gCall+","+gResult), ""},
		{g, gemini("", gUser+","+gCall+","+gCall+","+gResult+","+gResult), ""},
		{g, gemini("", gUser+","+gCall+","+gCall+","+gResult), "function responses"},
		{g, gemini("", gUser+","+gCall+","+gUser), "function responses"},
		{g, gemini("", gUser+","+gCall+","+gUser+","+gSigned), "function responses"},
		{g, gemini("", gResult), "function responses"},
		{g3, gemini("", gUser+","+gSigned+","+gResult), ""},
		{g3, gemini("", gUser+","+gCall+","+gResult), "thought_signature"},
		{g3, gemini("", gUser+","+gCall+","+gResult+","+gUser), ""},
		{g3, gemini("", gUser+","+gSigned+","+gResult+","+gCall+","+gResult), "thought_signature"},
		{g, gemini(gTool(`{"type":"OBJECT","properties":{"const":{"type":"STRING"}}}`), gUser), ""},
		{g, gemini(gTool(`{"$schema":"x"}`), gUser), `Unknown name \"$schema\"`},
		{g, gemini(gTool(`{"properties":{"a":{"items":{"additionalProperties":false}}}}`), gUser), `Unknown name \"additionalProperties\"`},
		{g, gemini(gTool(`{"anyOf":[{"const":1}]}`), gUser), `Unknown name \"const\"`},
		{g, gemini(`"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"$schema":"x"}}]}],`, gUser), ""},
		{g, gemini(`"generationConfig":{"candidateCount":2},`, gUser), "Only one candidate"},
		{"/v1beta/models/m:embedContent", `{}`, "content holds no part"},
		{"/v1beta/models/m:embedContent", `{"model":"models/other","content":{"parts":[{"text":"x"}]}}`, "that of the path"},
		{"/v1beta/models/m:embedContent", `{"content":{"parts":[{"text":"x"}]},"outputDimensionality":9999}`, "between 1 and 4096"},
		{"/v1beta/models/m:batchEmbedContents", `{}`, "requests holds none"},
		{vertexPath + ":predict", `{}`, "instances holds none"},

		{c, converse("", cUser), ""},
		{c, converse("", ""), "must hold a message"},
		{c, converse(`"model":"m",`, cUser), "model does not belong"},
		{c, converse(`"modelId":"m",`, cUser), "modelId does not belong"},
		{c, converse(`"stream":true,`, cUser), "stream does not belong"},
		{c, converse("", cUser+","+cUser), "roles alternate"},
		{c, converse("", `{"role":"assistant","content":[{"text":"x"}]}`), "the user begins"},
		{c, converse("", `{"role":"user","content":[{"text":" \n"}]}`), "is blank"},
		{c, converse(`"system":[{"text":""}],`, cUser), "system.content.0 is blank"},
		{c, converse(cTools, cUser+","+cCall+","+cResult), ""},
		{c, converse("", cUser+","+cCall+","+cResult), "toolConfig is required"},
		{c, converse(cTools, cUser+","+cCall+","+cUser), "toolResult for each toolUse"},
		{c, converse(cTools, cResult), "toolResult for each toolUse"},
		{c, converse(cTools, cUser+","+strings.Replace(cCall, "t_1", "t 1", 1)), "toolUseId is not valid"},
		{c, converse(cTools, cUser+","+strings.Replace(cCall, "t_1", strings.Repeat("t", 65), 1)), "toolUseId is not valid"},
		{c, converse(strings.Replace(cTools, `]}`, `],"toolChoice":{"none":{}}}`, 1), cUser), "toolChoice must be"},
		{c, converse(`"toolConfig":{"tools":[]},`, cUser), "at least one tool"},
		{c, converse(`"toolConfig":{"tools":[{"toolSpec":{"name":"f"}}]},`, cUser), "must be an object"},
		{c, converse(`"inferenceConfig":{"maxTokens":0},`, cUser), "at least 1"},

		{"/v2/chat", `{"model":"m","messages":[{"role":"user","content":"x"}]}`, ""},
		{"/v2/chat", `{"messages":[{"role":"user","content":"x"}]}`, "'model'"},
		{"/v2/chat", `{"model":"m"}`, "'messages'"},
		{"/v2/chat", `{"model":"m","stream_options":{},"messages":[{"role":"user","content":"x"}]}`, "stream_options"},
		{"/v2/chat", `{"model":"m","tool_choice":"auto","messages":[{"role":"user","content":"x"}]}`, "REQUIRED or NONE"},
		{"/v2/chat", `{"model":"m","max_tokens":-1,"messages":[{"role":"user","content":"x"}]}`, "must be positive"},
		{"/v2/embed", `{"model":"m","texts":["x"]}`, "'input_type'"},
		{"/v2/embed", `{"model":"m","input_type":"classification"}`, "1 to 96"},
		{"/v2/embed", `{"input_type":"classification","texts":["x"]}`, "'model'"},
		{"/v2/embed", `{"model":"m","input_type":"classification","texts":["x"],"output_dimension":0}`, "output_dimension"},
		{"/v2/rerank", `{"model":"m","documents":["x"]}`, "'query'"},
		{"/v2/rerank", `{"model":"m","query":"x"}`, "'documents'"},
		{"/v2/rerank", `{"query":"x","documents":["x"]}`, "'model'"},
		{"/v2/rerank", `{"model":"m","query":"x","documents":["x"],"top_n":-1}`, "top_n"},
	} {
		a := p.ask(tt.path, tt.body, "")
		if tt.want == "" {
			if a.StatusCode != http.StatusOK {
				t.Errorf("%s %s: got %d %s", tt.path, tt.body, a.StatusCode, a.body)
			}
			continue
		}
		if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, tt.want) {
			t.Errorf("%s %s: got %d %s, want %s", tt.path, tt.body, a.StatusCode, a.body, tt.want)
		}
		if !json.Valid([]byte(a.body)) {
			t.Errorf("%s: not JSON: %s", tt.path, a.body)
		}
	}
}

// TestVersions holds which versions of Messages there are, and what they refuse.
func TestVersions(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	warm := strings.Replace(messagesBody, "{", `{"temperature":0.5,`, 1)
	for _, tt := range []struct {
		version, body string
		status        int
	}{
		{"2023-06-01", messagesBody, 200},
		{"2026-10-21", messagesBody, 200},
		{"2023-06-01", warm, 200},
		{"2026-10-21", warm, 400},
		{"2023-01-01", messagesBody, 400},
		{"", messagesBody, 400},
	} {
		r := p.request(http.MethodPost, "/v1/messages", tt.body, "Anthropic-Version: "+tt.version)
		if a := p.do(r); a.StatusCode != tt.status {
			t.Errorf("version %q, %s: got %d %s, want %d", tt.version, tt.body, a.StatusCode, a.body, tt.status)
		}
	}
}

// TestKeysOfSurfaces holds where each API takes its key from.
func TestKeysOfSurfaces(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{APIKey: "sk-0123456789abcdef"})
	const good, bad = "sk-0123456789abcdef", "sk-0123456789abcdeg"
	azure := "/openai/deployments/text-embedding-3-small/embeddings?api-version=x"
	for _, tt := range []struct {
		path, body, header string
		status             int
	}{
		{"/v1/messages", messagesBody, "X-Api-Key: " + good, 200},
		{"/v1/messages", messagesBody, "Authorization: Bearer " + good, 200},
		{"/v1/messages", messagesBody, "X-Api-Key: " + bad, 401},
		{"/v1/messages", messagesBody, "Api-Key: " + good, 401},
		{"/v1/messages", messagesBody, "", 401},
		{geminiPath + ":generateContent", geminiBody, "X-Goog-Api-Key: " + good, 200},
		{geminiPath + ":generateContent?key=" + good, geminiBody, "", 200},
		{geminiPath + ":generateContent", geminiBody, "X-Goog-Api-Key: " + bad, 400},
		{geminiPath + ":generateContent", geminiBody, "Authorization: Bearer " + good, 403},
		{vertexPath + ":generateContent", geminiBody, "Authorization: Bearer " + good, 200},
		{vertexPath + ":generateContent", geminiBody, "X-Goog-Api-Key: " + good, 200},
		{vertexPath + ":generateContent", geminiBody, "Authorization: Bearer " + bad, 401},
		{claudePath + ":rawPredict", vertexBody, "", 401},
		{"/model/" + claudeID + "/converse", converseBody, "Authorization: Bearer " + good, 200},
		{"/model/" + claudeID + "/converse", converseBody, "Authorization: Bearer " + bad, 403},
		{"/model/" + claudeID + "/converse", converseBody, "X-Api-Key: " + good, 403},
		{"/model/" + claudeID + "/converse", converseBody, "Authorization: AWS4-HMAC-SHA256 x", 400},
		{"/v2/chat", cohereBody, "Authorization: Bearer " + good, 200},
		{"/v2/chat", cohereBody, "Authorization: Basic " + good, 401},
		{azure, `{"input":"x"}`, "Api-Key: " + good, 200},
		{azure, `{"input":"x"}`, "Authorization: Bearer " + good, 200},
		{azure, `{"input":"x"}`, "Api-Key: " + bad, 401},
		{"/openai/v1/responses", responseBody, "Api-Key: " + good, 200},
		{"/openai/v1/responses", responseBody, "Api-Key: " + bad, 401},
		{"/openai/v1/responses", responseBody, "Authorization: Bearer " + good, 200},
	} {
		header := []string{"Anthropic-Version: 2023-06-01"}
		if tt.header != "" {
			header = append(header, tt.header)
		}
		a := p.do(p.request(http.MethodPost, tt.path, tt.body, header...))
		if a.StatusCode != tt.status {
			t.Errorf("%s with %q: got %d %s, want %d", tt.path, tt.header, a.StatusCode, a.body, tt.status)
		}
		if strings.Contains(a.body, bad) {
			t.Errorf("%s shows the key: %s", tt.path, a.body)
		}
	}
	strict := run(t, simulator.Options{NoQueryKey: true})
	strict.whole(strict.ask(geminiPath+":generateContent", geminiBody, ""))
	if a := strict.ask(geminiPath+":generateContent?key=x", geminiBody, ""); a.StatusCode != 400 || !strings.Contains(a.body, "came in the URL") {
		t.Errorf("a key in the URL: got %d %s", a.StatusCode, a.body)
	}
}

// TestMounts holds that an API can be anywhere, and that the path tells them apart.
func TestMounts(t *testing.T) {
	t.Parallel()
	everywhere := run(t, simulator.Options{})
	p := run(t, simulator.Options{Mounts: []simulator.Mount{
		{Path: "/claude", API: simulator.Anthropic},
		{Path: "/g", API: simulator.Gemini},
		{Path: "/g/ai", API: simulator.Vertex},
		{Path: "/aws", API: simulator.Bedrock},
		{Path: "/ms", API: simulator.Azure},
		{Path: "/co", API: simulator.Cohere},
		{Path: "/oai/v1", API: simulator.OpenAI},
	}})
	for _, tt := range []struct{ method, path, body, want string }{
		{"POST", "/claude/v1/messages", messagesBody, `"type":"message"`},
		{"GET", "/claude/v1/models", "", `"has_more":false`},
		{"POST", "/g" + geminiPath + ":generateContent", geminiBody, "usageMetadata"},
		{"GET", "/g/v1beta/models/gemini-2.5-flash", "", `"name": "models/gemini-2.5-flash"`},
		{"POST", "/g/v1/models/gemini-2.5-flash:countTokens", geminiBody, "totalTokens"},
		{"POST", "/g/ai" + vertexPath + ":generateContent", geminiBody, "ON_DEMAND"},
		{"POST", "/g/ai/v1/publishers/google/models/gemini-2.5-flash:generateContent", geminiBody, "ON_DEMAND"},
		{"POST", "/aws/model/" + claudeID + "/converse", converseBody, "stopReason"},
		{"POST", "/ms/openai/v1/chat/completions", chatBody, "prompt_filter_results"},
		{"POST", "/ms/openai/chat/completions?api-version=x", chatBody, "prompt_filter_results"},
		{"GET", "/ms/openai/models?api-version=x", "", `"object":"list"`},
		{"POST", "/co/v2/chat", cohereBody, "billed_units"},
		{"POST", "/oai/v1/chat/completions", chatBody, "chat.completion"},
		{"POST", "/v1/chat/completions", chatBody, "chat.completion"},
	} {
		r := p.request(tt.method, tt.path, tt.body, "Anthropic-Version: 2023-06-01", "Authorization: Bearer sk")
		if got := p.whole(p.do(r)); !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %s, want %s", tt.path, got, tt.want)
		}
	}
	for _, tt := range []struct {
		method, path, allow string
		status              int
		want                string
	}{
		{"POST", "/v1/messages", "", 404, `{"error":{"message":`},
		{"POST", "/claude/v1/nothing", "", 404, `"type":"not_found_error"`},
		{"GET", "/claude/v1/messages", "POST", 405, `"type":"invalid_request_error"`},
		{"POST", "/g/v1beta/models/m:doSomething", "", 404, `"status": "NOT_FOUND"`},
		{"GET", "/g" + geminiPath + ":generateContent", "POST", 405, `"status": "INVALID_ARGUMENT"`},
		{"POST", "/g/v1beta/models/nothing:generateContent", "", 404, `"status": "NOT_FOUND"`},
		{"POST", "/aws/model/x/y/converse", "", 404, `{"message":`},
		{"POST", "/aws/model/x/converse", "", 400, `no model with the identifier`},
		{"POST", "/ms/openai/nothing", "", 404, `{"error":{"code":"404",`},
		{"POST", "/co/v1/chat", "", 404, `"message":"Unknown request URL`},
	} {
		r := p.request(tt.method, tt.path, "{}", "Authorization: Bearer sk", "Anthropic-Version: 2023-06-01")
		a := p.do(r)
		if a.StatusCode != tt.status || a.Header.Get("Allow") != tt.allow || !strings.Contains(a.body, tt.want) {
			t.Errorf("%s %s: got %d, Allow %q, %s; want %d, %q, %s", tt.method, tt.path, a.StatusCode, a.Header.Get("Allow"), a.body, tt.status, tt.allow, tt.want)
		}
	}
	models := everywhere.request(http.MethodGet, "/v1/models", "", "Anthropic-Version: 2023-06-01")
	if got := everywhere.whole(everywhere.do(models)); !strings.Contains(got, "claude") {
		t.Errorf("the models of Anthropic: %s", got)
	}
	if got := everywhere.whole(everywhere.get("/v1/models")); strings.Contains(got, "claude") {
		t.Errorf("the models of OpenAI: %s", got)
	}
	if got := everywhere.whole(everywhere.do(everywhere.request(http.MethodGet, "/v1/models/claude-haiku-4-5", "", "Anthropic-Version: 2023-06-01"))); !strings.Contains(got, `"id":"claude-haiku-4-5"`) {
		t.Errorf("a model of Anthropic: %s", got)
	}
	// Google's SDK leaves the slashes of a name as they are.
	anything := run(t, simulator.Options{AnyModel: true})
	got := anything.whole(anything.ask("/v1beta/models/groq/llama-3.3-70b:generateContent", geminiBody, ""))
	if !strings.Contains(got, `"modelVersion": "groq/llama-3.3-70b"`) {
		t.Errorf("a model with a slash: %s", got)
	}
}

// TestAPINames holds that each API has a name and models of its own.
func TestAPINames(t *testing.T) {
	t.Parallel()
	names := []string{"openai", "azure", "anthropic", "gemini", "vertex", "bedrock", "cohere"}
	for i, want := range names {
		api := simulator.API(i)
		if got := api.String(); got != want {
			t.Errorf("API %d is %s, want %s", i, got, want)
		}
		if len(simulator.DefaultModels(api)) == 0 {
			t.Errorf("%s has no models", api)
		}
	}
}
