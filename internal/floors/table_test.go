// Package floors holds tests of the repository itself: what may import what, what must
// not be in a tracked file, and whether the documentation's links lead somewhere. It
// has no other code.
package floors

// module is the product's module path.
const module = "github.com/llmproxy/llmproxy"

// A floor is a set of folders on one level. A folder is a path below the module's root;
// "." is the root, * stands for one name, and /... adds everything below.
type floor struct {
	level   int
	folders []string
}

// building is the table of docs/architecture.md. An import may only point down.
var building = []floor{
	{6, []string{"cmd/llmproxy", "examples/*", "bench/..."}},
	{5, []string{"internal/gateway/...", "internal/dashboard", "internal/simulator", "internal/floors"}},
	{4, []string{"adapter/*/...", "providers/*/..."}},
	{3, []string{"dialect/*", "pricing/..."}},
	{2, []string{"dialect", "interceptors/...", "ledger/...", "keys/..."}},
	{1, []string{"."}},
	{0, []string{"wire", "canon"}},
}

// sideways are the imports within one floor that are allowed. A folder and what is
// below it count as one and need no row.
var sideways = []struct{ from, to, why string }{
	{"providers/openai", "providers/openai_compatible", "OpenAI's own service is one more look-alike"},
	{"internal/gateway", "internal/dashboard", "the program serves the pages"},
	{"dialect/invoke", "dialect/messages", "InvokeModel answers in the shape of the model's family: Claude's is Messages"},
	{"dialect/invoke", "dialect/converse", "Nova's is Converse's"},
}

// jsonModule is the one module besides the standard library for floors 2 and 3. Floors
// 0 and 1 have none: who imports the root gets the standard library and nothing else.
const jsonModule = "github.com/go-json-experiment/json"

// outside are the modules that floors 4 and up may import, folder by folder.
var outside = []struct{ folder, module string }{
	{"adapter/zstd", "github.com/klauspost/compress"},
	{"adapter/brotli", "github.com/andybalholm/brotli"},
	{"providers/bedrock/...", "github.com/aws/aws-sdk-go-v2"},
	{"providers/bedrock/...", "github.com/aws/smithy-go"},
	{"providers/azure/entra", "github.com/Azure/azure-sdk-for-go"},
	{"providers/vertexai/adc", "golang.org/x/oauth2"},
	{"adapter/coderws", "github.com/coder/websocket"},
	{"adapter/gorillaws", "github.com/gorilla/websocket"},
	{"adapter/sqlite/...", "modernc.org/sqlite"},
	{"adapter/sqlite/...", "github.com/pressly/goose/v3"},
	{"adapter/postgres/...", "github.com/jackc/pgx/v5"},
	{"adapter/postgres/...", "github.com/pressly/goose/v3"},
	{"adapter/otel", "go.opentelemetry.io/otel"},
	{"adapter/internal/genaiattr", "go.opentelemetry.io/otel"},
	{"internal/simulator", "github.com/coder/websocket"},
	{"internal/gateway/...", "github.com/goccy/go-yaml"},
	{"internal/gateway/...", "github.com/fsnotify/fsnotify"},
	{"cmd/llmproxy", "github.com/alecthomas/kong"},
}

// testOnly are the modules that any test may import, besides what its folder may: the
// JSON module to compare our own scanner with, and the encoders of coded bodies.
var testOnly = []string{
	jsonModule,
	"github.com/andybalholm/brotli",
	"github.com/klauspost/compress",
	"github.com/google/go-cmp",
	"github.com/rogpeppe/go-internal",
	"go.uber.org/goleak",
	"pgregory.net/rapid",
}

// webSocket are the libraries that must never come near the root: WebSockets reach it
// through its own interfaces.
var webSocket = []string{
	"github.com/coder/websocket",
	"github.com/gobwas/ws",
	"github.com/gorilla/websocket",
	"github.com/lxzan/gws",
	"golang.org/x/net/websocket",
	"nhooyr.io/websocket",
}

// nameless are package names that say nothing of what is inside.
var nameless = []string{"base", "common", "helper", "helpers", "manager", "misc", "models", "types", "util", "utils"}
