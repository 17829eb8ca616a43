package llmproxy

import "github.com/llmproxy/llmproxy/wire"

// APIType names a wire format that clients and providers speak. The names are those of
// usage records.
type APIType string

// The APIs that the gateway knows by their shape.
const (
	APIChatCompletions APIType = "chat_completions"
	APICompletions     APIType = "completions"
	APIResponses       APIType = "responses"
	APIEmbeddings      APIType = "embeddings"
	APIImages          APIType = "images"
	APIMessages        APIType = "messages"
	APIGenerateContent APIType = "generate_content"
	APIConverse        APIType = "converse"
	APIInvokeModel     APIType = "invoke_model"
	APICohere          APIType = "cohere"
	APIOllama          APIType = "ollama" // Ollama's native API; on its mount only
)

// Transport says how an exchange travels.
type Transport string

// The transports.
const (
	TransportHTTP        Transport = "http" // one body
	TransportSSE         Transport = "sse"
	TransportEventStream Transport = "eventstream" // AWS
	TransportWebSocket   Transport = "websocket"
)

// Operation is what a request asks a provider to do, as far as its method and path say.
type Operation struct {
	// API is the dialect the client speaks; "" when the path does not say.
	API APIType
	// Path is escaped and begins with a slash. It is the path below the provider's API
	// path ("/responses/resp_1/cancel"), or on a mount the rest of the client's path
	// as it stood.
	Path string
	// ModelAt is the place of the model in Path, for APIs that have it there.
	ModelAt wire.Span
	// Mount says that the path chose the provider.
	Mount bool
	// JSON says that the body is a JSON document to be read whole before the provider
	// is called. Other bodies stream through unread.
	JSON bool
	// Metered says that the answer reports usage in the way of API.
	Metered bool
	// Settles says that the answer may show what an earlier exchange has used: it is of a
	// request that retrieves, streams or cancels a background response.
	Settles bool
	// Charged says that providers charge for it although nobody here reads for what:
	// audio, video, reranking.
	Charged bool
}
