package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/dashboard"
	"github.com/llmproxy/llmproxy/ledger"
)

// historySize is how many invented exchanges the demo's dashboard shows.
const historySize = 5000

// A tour sends a gateway one request of each kind and prints what became of them.
type tour struct {
	listener  net.Listener
	dashboard string // its URL
	records   *demoRecorder
	out       io.Writer
}

// A stop is one request of a tour, and where it should go.
type tourStop struct {
	method, path, body string
	stream             bool
	provider           string // that should serve it
	metered            bool   // it consumes tokens
	short              string // of the path, in a line
}

func tourStops() []tourStop {
	const (
		chat     = `{"model":%q%s,"messages":[{"role":"user","content":"What does a gateway do?"}]}`
		messages = `{"model":%q%s,"max_tokens":100,"messages":[{"role":"user","content":"What does a gateway do?"}]}`
		prompt   = `{"model":%q%s,"prompt":"Once upon a time"}`
		input    = `{"model":%q%s,"input":"What does a gateway do?"}`
		contents = `{"contents":[{"role":"user","parts":[{"text":"What does a gateway do?"}]}]}`
		converse = `{"messages":[{"role":"user","content":[{"text":"What does a gateway do?"}]}]}`

		gemini, nova = "gemini-2.5-flash", "amazon.nova-micro-v1:0"
	)
	post := func(path, provider, format, model string, stream bool) tourStop {
		member := ""
		if stream {
			member = `,"stream":true`
		}
		return tourStop{"POST", path, fmt.Sprintf(format, model, member), stream, provider, true, path}
	}
	// Where the path has the model, another column of the line has it too.
	at := func(before, model, after, query, provider, body string, stream bool) tourStop {
		return tourStop{"POST", before + model + after + query, body, stream, provider, true, before + "…" + after}
	}
	return []tourStop{
		post("/v1/chat/completions", "openai", chat, "gpt-5-mini", false),
		post("/v1/chat/completions", "openai", chat, "gpt-5-mini", true),
		// The model's own name leads to groq, and so does a prefix on it.
		post("/v1/chat/completions", "groq", chat, "llama-3.3-70b-versatile", true),
		post("/v1/responses", "openai", input, "gpt-5-mini", false),
		post("/v1/responses", "groq", input, "groq/openai/gpt-oss-120b", true),
		post("/v1/completions", "openai", prompt, "gpt-3.5-turbo-instruct", false),
		post("/v1/completions", "openai", prompt, "gpt-3.5-turbo-instruct", true),
		post("/v1/embeddings", "openai", input, "text-embedding-3-small", false),
		post("/v1/messages", "anthropic", messages, "claude-sonnet-4-5", false),
		post("/v1/messages", "anthropic", messages, "claude-sonnet-4-5", true),
		at("/v1beta/models/", gemini, ":generateContent", "", "googleai", contents, false),
		at("/v1beta/models/", gemini, ":streamGenerateContent", "?alt=sse", "googleai", contents, true),
		at("/model/", nova, "/converse", "", "bedrock", converse, false),
		at("/model/", nova, "/converse-stream", "", "bedrock", converse, true),
		at("/openai/deployments/", "gpt-4o-mini", "/chat/completions", "?api-version=2024-10-21", "azure", fmt.Sprintf(chat, "any", ""), false),
		post("/v1/chat/completions", "azure", chat, "azure/gpt-4o-mini", true),
		post("/v2/chat", "cohere", chat, "command-r7b-12-2024", false),
		post("/v2/chat", "cohere", chat, "command-r7b-12-2024", true),
		// A mount: everything the provider has, under its name.
		post("/groq/openai/v1/chat/completions", "groq", chat, "llama-3.3-70b-versatile", false),
		{"GET", "/v1/models", "", false, "openai", false, "/v1/models"},
	}
}

// run sends the requests one after the other. The error is the first that went wrong.
func (t tour) run(ctx context.Context) error {
	transport := &http.Transport{
		// Whatever name is in the URL, the gateway is at the listener.
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			a := t.listener.Addr()
			return (&net.Dialer{}).DialContext(ctx, a.Network(), a.String())
		},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}

	fmt.Fprintf(t.out, "llmproxy demo: a gateway at %s.\n", addressOf(t.listener))
	fmt.Fprint(t.out, "Its providers are SIMULATED: all are one handler in this process. No key, no network, no charge.\n\n")
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "REQUEST\t\tPROVIDER\tMODEL\tSTATUS\tTOKENS IN\tOUT\tCOST USD\tFIRST BYTE\tTOTAL")
	var failure error
	for _, s := range tourStops() {
		v, err := t.visit(ctx, client, s)
		if err != nil {
			failure = fmt.Errorf("%s %s: %w", s.method, s.path, err)
			break
		}
		kind := "json"
		if s.stream {
			kind = string(v.record.Transport)
		}
		in, out, cost := "-", "-", "-"
		if s.metered {
			cost = money(v.record.Cost, v.record.CostKnown)
			in, out = strconv.FormatInt(v.record.Usage.PromptTokens, 10), strconv.FormatInt(v.record.Usage.CompletionTokens, 10)
		}
		fmt.Fprintf(table, "%s %s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", s.method, s.short, kind,
			v.record.Provider, orDash(v.record.Model), v.record.Status, in, out, cost, milliseconds(v.first), milliseconds(v.total))
	}
	if err := errors.Join(failure, table.Flush()); err != nil {
		return err
	}
	fmt.Fprint(t.out, "\nTokens and cost are what the gateway metered: the usage record of each exchange, equal to what\nthe client reads in X-Gateway-Prompt-Tokens, X-Gateway-Completion-Tokens and X-Gateway-Cost\n(trailers on a stream). Prices are the providers' own; the charge is not.\n")
	if err := t.converse(ctx, transport); err != nil {
		return fmt.Errorf("the WebSocket: %w", err)
	}
	if err := t.spend(ctx); err != nil {
		return err
	}
	// So that the dashboard has something to show.
	if err := t.records.store.Append(ctx, dashboard.History(time.Now(), historySize)); err != nil {
		return err
	}
	return t.invite()
}

// A visit is what became of a stop.
type visit struct {
	record       llmproxy.Record
	first, total time.Duration
}

// visit sends s, reads the answer to its end, and compares what the client was told with
// the record.
func (t tour) visit(ctx context.Context, client *http.Client, s tourStop) (v visit, err error) {
	r, err := http.NewRequestWithContext(ctx, s.method, "http://localhost"+s.path, strings.NewReader(s.body))
	if err != nil {
		return v, err
	}
	if s.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	start := time.Now()
	resp, err := client.Do(r)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	body := bufio.NewReader(resp.Body)
	head, err := body.Peek(1)
	if err != nil {
		return v, fmt.Errorf("%s, and no body: %w", resp.Status, err)
	}
	v.first = time.Since(start)
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(body, 500))
		return v, fmt.Errorf("%s: %s", resp.Status, text)
	}
	if isJSON := head[0] == '{'; isJSON == s.stream {
		return v, fmt.Errorf("%s, but the answer is not of the kind that was asked for", resp.Status)
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return v, fmt.Errorf("the answer broke off: %w", err)
	}
	v.total = time.Since(start)

	id := resp.Header.Get("X-Gateway-Request-Id")
	found, err := t.records.selected(ctx, ledger.Filter{ID: id})
	if err != nil || len(found) != 1 {
		return v, errors.Join(err, fmt.Errorf("the exchange %q left %d usage records", id, len(found)))
	}
	v.record = found[0]
	return v, s.compare(resp, &v.record)
}

// compare says how r, or what the client was told, differs from what s wants.
func (s tourStop) compare(resp *http.Response, r *llmproxy.Record) error {
	var faults []error
	differ := func(what string, got, want any) {
		if got != want {
			faults = append(faults, fmt.Errorf("%s is %v, want %v", what, got, want))
		}
	}
	differ("the provider", r.Provider, s.provider)
	differ("the outcome", r.Outcome, llmproxy.OutcomeCompleted)
	differ("X-Gateway-Provider", resp.Header.Get("X-Gateway-Provider"), s.provider)
	if s.metered {
		differ("the source of the usage", r.UsageSource, llmproxy.UsageProvider)
		told := resp.Header
		if s.stream {
			told = resp.Trailer
		}
		differ("X-Gateway-Prompt-Tokens", told.Get("X-Gateway-Prompt-Tokens"), strconv.FormatInt(r.Usage.PromptTokens, 10))
		if r.CostKnown {
			differ("X-Gateway-Cost", told.Get("X-Gateway-Cost"), r.Cost.String())
		}
		differ("X-Gateway-Completion-Tokens", told.Get("X-Gateway-Completion-Tokens"), strconv.FormatInt(r.Usage.CompletionTokens, 10))
	}
	return errors.Join(faults...)
}

// invite prints what to try next.
func (t tour) invite() error {
	base, curl := addressOf(t.listener), "curl -sN "
	if t.listener.Addr().Network() == "unix" {
		base, curl = "http://localhost", "curl -sN --unix-socket '"+t.listener.Addr().String()+"' "
	}
	_, err := fmt.Fprintf(t.out, `
Try it:

  %[1]s%[2]s/v1/chat/completions -H 'Content-Type: application/json' \
    -d '{"model":"gpt-5-mini","messages":[{"role":"user","content":"Hello!"}]}'

  %[1]s%[2]s/v1/chat/completions -H 'Content-Type: application/json' \
    -d '{"model":"groq/llama-3.3-70b-versatile","stream":true,"messages":[{"role":"user","content":"Hello!"}]}'

  %[1]s%[2]s/v1/responses -H 'Content-Type: application/json' \
    -d '{"model":"gpt-5-mini","stream":true,"input":"Hello!"}'

  %[1]s%[2]s/v1/messages -H 'Content-Type: application/json' \
    -d '{"model":"claude-sonnet-4-5","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"Hello!"}]}'

  %[1]s%[2]s/v1beta/models/gemini-2.5-flash:generateContent -H 'Content-Type: application/json' \
    -d '{"contents":[{"role":"user","parts":[{"text":"Hello!"}]}]}'

  %[1]s%[2]s/v1/models

The dashboard: %[3]s
It shows the exchanges above and %[4]d invented ones of the last thirty days.

Or point an SDK at it, with any API key: base URL %[2]s/v1 for OpenAI's,
%[2]s for those of Anthropic, Google, AWS and Cohere.
Serving until interrupted (Ctrl-C). Each exchange leaves one line below.
`, curl, base, t.dashboard, historySize)
	return err
}

// milliseconds shows a duration with one decimal.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + " ms"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
