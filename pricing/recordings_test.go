package pricing_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/cohere"
	"github.com/llmproxy/llmproxy/dialect/completions"
	"github.com/llmproxy/llmproxy/dialect/converse"
	"github.com/llmproxy/llmproxy/dialect/embeddings"
	"github.com/llmproxy/llmproxy/dialect/gemini"
	"github.com/llmproxy/llmproxy/dialect/invoke"
	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/dialect/responses"
	"github.com/llmproxy/llmproxy/pricing"
	"github.com/llmproxy/llmproxy/wire"
)

// The recordings are beside the repository, and so may be absent.
const shared = "../../shared"

// opinionDay is when the library that has priced the recordings was asked: its prices
// are those of its version 0.1.8 on that day.
var opinionDay = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// recording is an exchange, and the list price an independent library has for it.
type recording struct {
	ID, Provider, Path, Request, Encoding, Response string
	Status                                          int

	model string      // the library's name for it
	price json.Number // "" where it has none
}

func recordings(t *testing.T) (list []recording) {
	t.Helper()
	opinions := map[string]struct {
		ID    string
		Model string
		Price *json.Number `json:"price_usd"`
	}{}
	for line := range fileLines(t, shared+"/recordings-expected.jsonl") {
		o := opinions[""]
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatal(err)
		}
		opinions[o.ID] = o
	}
	files, err := os.ReadDir(shared + "/recordings")
	if err != nil {
		t.Skipf("no recordings beside the repository: %v", err)
	}
	for _, f := range files {
		if path.Ext(f.Name()) != ".jsonl" {
			continue
		}
		for line := range fileLines(t, shared+"/recordings/"+f.Name()) {
			var r recording
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatal(err)
			}
			o := opinions[r.ID]
			r.model = o.Model
			if o.Price != nil {
				r.price = *o.Price
			}
			list = append(list, r)
		}
	}
	return list
}

// fileLines yields the lines of a file.
func fileLines(t *testing.T, name string) func(func([]byte) bool) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Skipf("no recordings beside the repository: %v", err)
	}
	t.Cleanup(func() { f.Close() })
	s := bufio.NewReader(f)
	return func(yield func([]byte) bool) {
		for {
			line, err := s.ReadBytes('\n')
			if len(bytes.TrimSpace(line)) > 0 && !yield(line) {
				return
			}
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
		}
	}
}

// families are the types of the providers of the recordings.
func families() map[string]string {
	f := map[string]string{"google": "googleai", "vertex": "vertexai"}
	for _, same := range []string{
		"anthropic", "openai", "azure", "bedrock", "cerebras", "cohere", "deepseek", "groq", "mistral", "openrouter", "together",
	} {
		f[same] = pricing.Family(same)
	}
	return f
}

// reader returns the reader and the API of a path; nil if there is none.
func (r *recording) reader() (func() llmproxy.ResponseExtractor, llmproxy.APIType) {
	p, _, _ := strings.Cut(r.Path, "?")
	last := path.Base(p)
	switch {
	case strings.Contains(p, ":generateContent"), strings.Contains(p, ":streamGenerateContent"):
		return gemini.New, llmproxy.APIGenerateContent
	case strings.HasPrefix(last, "converse"):
		return converse.New, llmproxy.APIConverse
	case strings.HasPrefix(last, "invoke"):
		return invoke.New, llmproxy.APIInvokeModel
	case strings.HasSuffix(p, "/chat/completions"):
		return chat.New, llmproxy.APIChatCompletions
	case last == "completions":
		return completions.New, llmproxy.APICompletions
	case last == "responses", strings.HasSuffix(p, "/responses/compact"):
		return responses.New, llmproxy.APIResponses
	case last == "embeddings":
		return embeddings.New, llmproxy.APIEmbeddings
	case last == "messages", last == "complete":
		return messages.New, llmproxy.APIMessages
	case r.Provider == "cohere":
		return cohere.New, llmproxy.APICohere
	}
	return nil, ""
}

// asked returns the model in the request.
func (r *recording) asked() string {
	p, _, _ := strings.Cut(r.Path, "?")
	for _, before := range []string{"/models/", "/model/"} {
		if _, rest, ok := strings.Cut(p, before); ok {
			name, _, _ := strings.Cut(rest, "/")
			if i := strings.LastIndexByte(name, ':'); i >= 0 && before == "/models/" {
				name = name[:i]
			}
			if plain, err := url.PathUnescape(name); err == nil {
				return plain
			}
		}
	}
	var body struct{ Model string }
	_ = json.Unmarshal([]byte(r.Request), &body) // no body, no model
	return body.Model
}

// read returns what the gateway's own reader makes of the answer.
func (r *recording) read(t *testing.T) (m llmproxy.ResponseMetadata, api llmproxy.APIType, ok bool) {
	t.Helper()
	newReader, api := r.reader()
	if newReader == nil {
		return m, "", false
	}
	x := newReader()
	answer := []byte(r.Response)
	if r.Encoding == "base64" {
		decoded, err := base64.StdEncoding.DecodeString(r.Response)
		if err != nil {
			t.Fatalf("%s: %v", r.ID, err)
		}
		_, _ = wire.NewEventStream(x, 0).Write(decoded)
		return x.Metadata(), api, true
	}
	start := strings.TrimSpace(r.Response)
	if strings.HasPrefix(start, "data:") || strings.HasPrefix(start, "event:") || strings.HasPrefix(start, ":") {
		_, _ = wire.NewSSE(x, 0).Write(answer)
	} else {
		x.Frame(wire.Frame{Data: answer})
	}
	return x.Metadata(), api, true
}

// An explanation says why the embedded list has another price than the library. What
// it changes must bring out the library's figure.
type explanation struct {
	provider, model string
	change          func(q *llmproxy.CostQuery, u *llmproxy.Usage)
	line            string // a price instead of the list's
	unknown         bool   // the library says 0 where it has no price
	why             string
}

func explanations() []explanation {
	before := func(day string) func(*llmproxy.CostQuery, *llmproxy.Usage) {
		at, _ := time.Parse(time.DateTime, day) // wrong, it changes nothing, and the test fails
		return func(q *llmproxy.CostQuery, _ *llmproxy.Usage) { q.Time = at }
	}
	standard := func(q *llmproxy.CostQuery, _ *llmproxy.Usage) { q.ServiceTier = "" }
	noSearch := func(_ *llmproxy.CostQuery, u *llmproxy.Usage) { u.WebSearches = 0 }
	return []explanation{
		{"deepseek", "deepseek-chat", before("2025-09-04 12:00:00"), "", false, "price until 2025-09-05, full-price hours"},
		{"deepseek", "deepseek-reasoner", before("2025-09-04 12:00:00"), "", false, "price until 2025-09-05, full-price hours"},
		{"mistral", "mistral-large-latest", before("2025-12-01 12:00:00"), "", false, "the name has meant Mistral Large 3 since 2025-12-02"},
		{"mistral", "mistral-small-latest", nil, "mistral-small-latest input=0.1 output=0.3", false, "the name means Mistral Small 4, 2603"},
		{"openrouter", "deepseek/deepseek-chat", nil, "deepseek/deepseek-chat input=0.38 output=0.89", false, "models.dev of 2026-11-10 is newer"},
		{"openai", "gpt-5-2025-08-07", standard, "", false, "flex and priority have prices of their own"},
		{"bedrock", "us.amazon.nova-micro-v1:0", standard, "", false, "the price of the tier served is not known"},
		{"openai", "gpt-5-2025-08-07", noSearch, "", false, "web searches are charged by the call"},
		{"openai", "gpt-5.6-sol", noSearch, "", false, "web searches are charged by the call"},
		{"cerebras", "qwen-3-coder-480b", nil, "", true, "no price is known: not free"},
	}
}

func embeddedBook(t testing.TB) *pricing.Book {
	t.Helper()
	list, err := pricing.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	b, err := pricing.NewBook(nil, list)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every recorded exchange that an independent library has priced costs the same by the
// embedded list, to a billionth of a dollar, or is explained.
func TestRecordedExchangesCostWhatAnotherLibrarySays(t *testing.T) {
	t.Parallel()
	book := embeddedBook(t).For(families())
	type tally struct{ priced, equal, explained int }
	table := map[string]*tally{}
	reasons := explanations()
	used := map[int]bool{}
	for _, r := range recordings(t) {
		if r.price == "" {
			continue
		}
		want, err := llmproxy.ParseUSD(r.price.String())
		if err != nil {
			t.Fatalf("%s: %v", r.ID, err)
		}
		n := table[r.Provider]
		if n == nil {
			n = &tally{}
			table[r.Provider] = n
		}
		n.priced++
		m, api, ok := r.read(t)
		if !ok {
			t.Errorf("%s: no reader for %s %s", r.ID, r.Provider, r.Path)
			continue
		}
		q := llmproxy.CostQuery{
			Provider: r.Provider, Model: m.Model, Asked: r.asked(), API: api, Time: opinionDay,
			PromptTokens: m.Usage.PromptTokens, ServiceTier: m.ServiceTier, Speed: m.Speed, Region: m.Region,
		}
		if got, ok := cost(book, q, m.Usage); ok && near(got, want) {
			n.equal++
			continue
		} else if i := slices.IndexFunc(reasons, func(e explanation) bool {
			return e.provider == r.Provider && e.model == r.model && e.explains(t, book, q, m.Usage, want)
		}); i >= 0 {
			used[i] = true
			n.explained++
		} else {
			t.Errorf("%s: %s %q (asked %q) tier %q: $%s (%v), want $%s: %+v",
				r.ID, r.Provider, q.Model, q.Asked, q.ServiceTier, got, ok, want, m.Usage)
		}
	}
	for i, e := range reasons {
		if !used[i] {
			t.Errorf("nothing is explained by %s %s: %s", e.provider, e.model, e.why)
		}
	}
	var b strings.Builder
	b.WriteString("| provider | priced | equal | explained |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(table)) {
		n := table[name]
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", name, n.priced, n.equal, n.explained)
	}
	for _, e := range reasons {
		fmt.Fprintf(&b, "\n- %s `%s`: %s", e.provider, e.model, e.why)
	}
	inDocument(t, "../docs/billing.md", "agreement", b.String()+"\n")
}

func cost(b *pricing.Book, q llmproxy.CostQuery, u llmproxy.Usage) (llmproxy.USD, bool) {
	c, ok := b.Lookup(q)
	if !ok {
		return 0, false
	}
	usd, err := c.Cost(u)
	return usd, err == nil
}

// explains reports whether e brings out the library's figure.
func (e *explanation) explains(t *testing.T, b *pricing.Book, q llmproxy.CostQuery, u llmproxy.Usage, want llmproxy.USD) bool {
	t.Helper()
	if e.unknown {
		_, ok := b.Lookup(q)
		return !ok && want == 0
	}
	if e.line != "" {
		l, err := pricing.ParseList("[" + families()[q.Provider] + "]\n" + e.line)
		if err != nil {
			t.Fatal(err)
		}
		if b, err = pricing.NewBook(nil, l); err != nil {
			t.Fatal(err)
		}
		b = b.For(families())
	}
	if e.change != nil {
		e.change(&q, &u)
	}
	got, ok := cost(b, q, u)
	return ok && near(got, want)
}

// near reports whether a and b differ by a billionth of a dollar at most.
func near(a, b llmproxy.USD) bool { return max(a-b, b-a) <= 1000 }

// inDocument checks that the part of a document between two marks says want. The
// environment variable UPDATE_DOCS rewrites it.
func inDocument(t *testing.T, file, mark, want string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), "<!-- "+mark+" -->\n")
	got, after, end := strings.Cut(rest, "<!-- end of "+mark+" -->\n")
	if !ok || !end {
		t.Fatalf("%s has no marks for %s", file, mark)
	}
	if got == want {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Errorf("%s: %s: got\n%s\nwant\n%s", file, mark, got, want)
		return
	}
	text = []byte(before + "<!-- " + mark + " -->\n" + want + "<!-- end of " + mark + " -->\n" + after)
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
