package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/ledger"
)

// socketEvent is what the tour reads of a message on a WebSocket.
type socketEvent struct {
	Type     string `json:"type"`
	Response struct {
		ID     string       `json:"id"`
		Output []socketItem `json:"output"`
	} `json:"response"`
	Error json.RawMessage `json:"error"`
}

// socketItem is an item of a response's output.
type socketItem struct {
	Type   string `json:"type"`
	CallID string `json:"call_id"`
}

// converse holds a conversation of three turns over one WebSocket, a call of a tool among
// them, and prints what each was billed.
func (t tour) converse(ctx context.Context, transport *http.Transport) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, resp, err := coderws.Dialer{Transport: transport}.Dial(ctx, "ws://localhost/v1/responses", http.Header{"X-Provider": {"openai"}})
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	const model, tools = `"model":"gpt-5-mini","store":false`, `"tools":[{"type":"function","name":"price_of","parameters":{"type":"object"}}]`
	first, err := turnOf(conn, `{"type":"response.create",`+model+`,`+tools+`,"input":"Use the tool price_of: what does a gateway cost?"}`)
	if err != nil {
		return err
	}
	call := slices.IndexFunc(first.Response.Output, func(i socketItem) bool { return i.Type == "function_call" })
	if call < 0 {
		return errors.New("the first turn calls no tool")
	}
	second, err := turnOf(conn, `{"type":"response.create",`+model+`,`+tools+`,"previous_response_id":"`+first.Response.ID+
		`","input":[{"type":"function_call_output","call_id":"`+first.Response.Output[call].CallID+`","output":"nothing at all"}]}`)
	if err != nil {
		return err
	}
	if _, err = turnOf(conn, `{"type":"response.create",`+model+`,"previous_response_id":"`+second.Response.ID+`","input":"And a whole conversation?"}`); err != nil {
		return err
	}
	if closer, ok := conn.(llmproxy.WSCloser); ok {
		_ = closer.CloseWith(llmproxy.WSCloseNormal, "")
	}
	id := resp.Header.Get("X-Gateway-Request-Id")
	records, err := t.records.selected(ctx, ledger.Filter{ConnectionID: id})
	if err != nil {
		return err
	}
	if len(records) != 3 {
		return fmt.Errorf("three turns left %d usage records", len(records))
	}
	fmt.Fprint(t.out, "\nA conversation over one WebSocket, GET /v1/responses, each turn billed by itself:\n\n")
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TURN\tPROVIDER\tMODEL\tOUTCOME\tTOKENS IN\tOUT\tCOST USD\t")
	says := []string{"calls the tool price_of", "gets its result", "goes on from there"}
	for i, r := range records {
		if r.Turn != i+1 || r.Outcome != llmproxy.OutcomeCompleted || r.UsageSource != llmproxy.UsageProvider || r.Transport != llmproxy.TransportWebSocket {
			return fmt.Errorf("the record of turn %d is turn %d, %s, usage from %s", i+1, r.Turn, r.Outcome, r.UsageSource)
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Turn, r.Provider, r.Model, r.Outcome,
			strconv.FormatInt(r.Usage.PromptTokens, 10), strconv.FormatInt(r.Usage.CompletionTokens, 10), money(r.Cost, r.CostKnown), says[i])
	}
	return table.Flush()
}

// turnOf sends a create and reads up to its end.
func turnOf(conn llmproxy.WSConn, create string) (last socketEvent, err error) {
	if err := conn.WriteMessage(llmproxy.WSText, []byte(create)); err != nil {
		return last, err
	}
	for {
		_, p, err := conn.ReadMessage()
		if err != nil {
			return last, err
		}
		last = socketEvent{}
		if err := json.Unmarshal(p, &last); err != nil {
			return last, fmt.Errorf("a message that is no event: %w", err)
		}
		switch last.Type {
		case "response.completed":
			return last, nil
		case "response.failed", "response.incomplete", "error":
			return last, fmt.Errorf("%s: %s", last.Type, last.Error)
		}
	}
}

// spend prints what the tour has spent, by provider.
func (t tour) spend(ctx context.Context) error {
	fmt.Fprint(t.out, "\nWhat that came to, as llmproxy usage shows it from a ledger:\n\n")
	return spendTable(ctx, t.out, t.records.store, ledger.Filter{}, ledger.ByProvider)
}
