package gateway

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// Usage is a question to the ledger.
type Usage struct {
	Source Source
	Since  string // how long ago ("24h", "30d"), or a time or date; "" is the beginning
	Until  string // likewise; "" is now
	Filter ledger.Filter
	Now    time.Time // the zero time is now

	Stdout io.Writer
}

// ErrNoLedger means that the configuration keeps no records, or that nothing has been
// recorded yet.
var ErrNoLedger = errors.New("no ledger")

// open returns the ledger's records, those that a running gateway has not drained yet
// included, and the configuration.
func (u Usage) open(ctx context.Context) (ledger.View, *Config, error) {
	c, err := u.Source.LoadAny()
	if err != nil {
		return ledger.View{}, nil, err
	}
	if c.Ledger.URL == noLedger {
		return ledger.View{}, nil, fmt.Errorf("%w: ledger.url is none", ErrNoLedger)
	}
	if file := c.Ledger.URL.file(); file != "" {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return ledger.View{}, nil, fmt.Errorf("%w: there is no %s yet; serve makes it", ErrNoLedger, file)
		}
	}
	store, err := openStore(ctx, c.Ledger.URL)
	if err != nil {
		return ledger.View{}, nil, fmt.Errorf("the ledger: %w", err)
	}
	return ledger.View{Store: store, Dir: c.Ledger.journal()}, c, nil
}

// filter returns u's filter with its times.
func (u Usage) filter() (f ledger.Filter, err error) {
	f = u.Filter
	now := u.Now
	if now.IsZero() {
		now = time.Now()
	}
	if f.Since, err = parseTime(u.Since, now); err != nil {
		return f, fmt.Errorf("--since: %w", err)
	}
	if f.Until, err = parseTime(u.Until, now); err != nil {
		return f, fmt.Errorf("--until: %w", err)
	}
	return f, nil
}

// parseTime reads a time: one that long before now, or a date or time in UTC.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 100_000 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write one such as 24h, 30d, 2026-11-01 or 2026-11-01T10:00:00Z", text)
}

// grouping reads what --by says.
func grouping(by string) (ledger.Grouping, error) {
	switch g := ledger.Grouping(by); g {
	case ledger.ByModel, ledger.ByProvider, ledger.ByKey, ledger.ByDay, ledger.ByHour, ledger.ByOutcome, ledger.ByNothing:
		return g, nil
	case "tag":
		return "", errors.New("--by: name the tag, as in tag:team")
	default:
		if name, ok := strings.CutPrefix(by, string(ledger.ByTag)); ok && name != "" {
			return g, nil
		}
	}
	return "", fmt.Errorf("--by: %q is none of model, provider, key, day, hour, outcome and tag:NAME", by)
}

// sumJSON is one group of the table, as JSON.
type sumJSON struct {
	Group       string         `json:"group"`
	Exchanges   int64          `json:"exchanges"`
	Errors      int64          `json:"errors"`
	Usage       llmproxy.Usage `json:"usage"`
	CostUSD     string         `json:"cost_usd"`
	ListCostUSD string         `json:"list_cost_usd"`
	Unpriced    int64          `json:"unpriced"`
	Estimated   int64          `json:"estimated"`
}

// Table writes what was spent, by group, and the sum over all.
func (u Usage) Table(ctx context.Context, by string, asJSON bool) error {
	g, err := grouping(by)
	if err != nil {
		return err
	}
	f, err := u.filter()
	if err != nil {
		return err
	}
	view, _, err := u.open(ctx)
	if err != nil {
		return err
	}
	defer view.Store.Close()
	if !asJSON {
		return spendTable(ctx, u.Stdout, view, f, g)
	}
	sums, err := summed(ctx, view, f, g)
	if err != nil {
		return err
	}
	rows := []sumJSON{}
	for _, s := range sums {
		rows = append(rows, sumJSON{s.Group, s.Exchanges, s.Errors, s.Usage, s.Cost.String(), s.ListCost.String(), s.Unpriced, s.Estimated})
	}
	e := json.NewEncoder(u.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(rows)
}

// summer adds up records: a store, or a view of one.
type summer interface {
	Sums(ctx context.Context, f ledger.Filter, by ledger.Grouping) ([]ledger.Sum, error)
}

// summed returns the sums by group: days and hours in their order, all else by what it
// cost, the dearest first.
func summed(ctx context.Context, records summer, f ledger.Filter, by ledger.Grouping) ([]ledger.Sum, error) {
	sums, err := records.Sums(ctx, f, by)
	slices.SortStableFunc(sums, func(a, b ledger.Sum) int {
		if by == ledger.ByDay || by == ledger.ByHour {
			return cmp.Compare(a.Group, b.Group)
		}
		return cmp.Compare(b.Cost, a.Cost)
	})
	return sums, err
}

// spendTable writes what was spent, by group, and in all.
func spendTable(ctx context.Context, out io.Writer, records summer, f ledger.Filter, by ledger.Grouping) error {
	sums, err := summed(ctx, records, f, by)
	if err != nil {
		return err
	}
	title := strings.ToUpper(strings.TrimPrefix(string(cmp.Or(by, "all")), string(ledger.ByTag)))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\tEXCHANGES\tERRORS\tTOKENS IN\tCACHED\tOUT\tCOST USD\tUNPRICED\n", title)
	for _, s := range sums {
		writeSum(w, cmp.Or(s.Group, "-"), s)
	}
	if len(sums) != 1 {
		total := ledger.Sum{}
		all, err := records.Sums(ctx, f, ledger.ByNothing)
		if err != nil {
			return err
		}
		if len(all) > 0 {
			total = all[0]
		}
		writeSum(w, "total", total)
	}
	return w.Flush()
}

func writeSum(w io.Writer, name string, s ledger.Sum) {
	u := &s.Usage
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%d\n", name, s.Exchanges, s.Errors,
		u.PromptTokens, u.CacheRead+u.CacheReadAudio+u.CacheReadImage, u.CompletionTokens, s.Cost, s.Unpriced)
}

// Export writes usage records, the oldest first: one JSON object a line, or CSV.
func (u Usage) Export(ctx context.Context, format string) error {
	write, flush, err := exporter(format, u.Stdout)
	if err != nil {
		return err
	}
	f, err := u.filter()
	if err != nil {
		return err
	}
	view, _, err := u.open(ctx)
	if err != nil {
		return err
	}
	defer view.Store.Close()
	if err := view.Records(ctx, f, write); err != nil {
		return err
	}
	return flush()
}

// exporter returns what writes records in a format.
func exporter(format string, w io.Writer) (write func(*llmproxy.Record) error, flush func() error, err error) {
	switch format {
	case "jsonl":
		b := bufio.NewWriter(w)
		var line []byte
		return func(r *llmproxy.Record) error {
			line = append(r.AppendJSON(line[:0]), '\n')
			_, err := b.Write(line)
			return err
		}, b.Flush, nil
	case "csv":
		c := csv.NewWriter(w)
		if err := c.Write(csvColumns()); err != nil {
			return nil, nil, err
		}
		return func(r *llmproxy.Record) error { return c.Write(csvRow(r)) },
			func() error { c.Flush(); return c.Error() }, nil
	}
	return nil, nil, fmt.Errorf("--format: %q is neither jsonl nor csv", format)
}

func csvColumns() []string {
	return []string{
		"id", "time", "provider", "api", "transport", "model_requested", "model", "response_id", "provider_request_id",
		"connection_id", "turn", "lane", "status", "outcome", "finish_reason", "service_tier",
		"prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
		"usage_source", "cost_usd", "cost_state", "list_cost_usd", "price_version", "duration_ms", "ttft_ms", "key", "tags", "error_code",
	}
}

func csvRow(r *llmproxy.Record) []string {
	num := func(n int64) string { return strconv.FormatInt(n, 10) }
	known := func(u llmproxy.USD, ok bool) string {
		if !ok {
			return ""
		}
		return u.String()
	}
	turn, status, code := "", "", ""
	if r.Turn > 0 {
		turn = strconv.Itoa(r.Turn)
	}
	if r.Status > 0 {
		status = strconv.Itoa(r.Status)
	}
	if r.Error != nil {
		code = r.Error.Code
	}
	tags := make([]string, 0, len(r.Tags))
	for name, value := range r.Tags {
		tags = append(tags, name+"="+value)
	}
	slices.Sort(tags)
	u := &r.Usage
	row := []string{
		r.ID, r.Time.UTC().Format("2006-01-02T15:04:05.000Z"), r.Provider, string(r.API), string(r.Transport), r.ModelRequested, r.Model, r.ResponseID, r.ProviderRequestID,
		r.ConnectionID, turn, r.Lane, status, string(r.Outcome), r.FinishReason, r.ServiceTier,
		num(u.PromptTokens), num(u.CompletionTokens), num(u.CacheRead + u.CacheReadAudio + u.CacheReadImage), num(u.CacheWrite + u.CacheWrite1h), num(u.Reasoning),
		string(r.UsageSource), known(r.Cost, r.CostKnown), string(r.CostState), known(r.ListCost, r.ListCostKnown), r.PriceVersion,
		num(r.Duration.Milliseconds()), num(r.TTFT.Milliseconds()), r.Key, strings.Join(tags, ","), code,
	}
	for i, cell := range row {
		// A spreadsheet takes such a cell for a formula, and clients choose some of them.
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			row[i] = "'" + cell
		}
	}
	return row
}

// repriceBatch is how many records are changed at a time.
const repriceBatch = 500

// Reprice computes what records cost by the prices of today's configuration and list, and
// shows the difference. The figures of before stay with the records. With dryRun nothing
// is changed.
func (u Usage) Reprice(ctx context.Context, dryRun bool) error {
	f, err := u.filter()
	if err != nil {
		return err
	}
	view, c, err := u.open(ctx)
	if err != nil {
		return err
	}
	defer view.Store.Close()
	prices, err := c.prices(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if c.Pricing.Source.from() != "" {
		if _, err := prices.Refresh(ctx); err != nil {
			return fmt.Errorf("the prices: %w", err)
		}
	}
	billing := c.billing(prices)
	w := tabwriter.NewWriter(u.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tMODEL\tWAS USD\tIS USD\tWAS\tIS\tPRICE")
	var batch []llmproxy.Record
	seen, changed := 0, 0
	flush := func() error {
		if dryRun || len(batch) == 0 {
			batch = batch[:0]
			return nil
		}
		err := view.Store.Reprice(ctx, batch)
		batch = batch[:0]
		return err
	}
	// What the journal has not drained yet was priced a moment ago.
	err = view.Store.Records(ctx, f, func(r *llmproxy.Record) error {
		seen++
		again, ok := reprice(billing, r)
		if !ok {
			return nil
		}
		changed++
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Model, money(r.Cost, r.CostKnown), money(again.Cost, again.CostKnown), r.CostState, again.CostState, again.PriceVersion)
		batch = append(batch, again)
		if len(batch) == repriceBatch {
			return flush()
		}
		return nil
	})
	if err = errors.Join(err, flush()); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	verb := "changed"
	if dryRun {
		verb = "would change"
	}
	_, err = fmt.Fprintf(u.Stdout, "%d records, %d %s\n", seen, changed, verb)
	return err
}

// reprice returns r with its costs by billing; changed is false where they are the same.
func reprice(billing *llmproxy.BillingCalculator, r *llmproxy.Record) (again llmproxy.Record, changed bool) {
	again = *r
	switch r.CostState {
	case llmproxy.CostFree, llmproxy.CostPending, llmproxy.CostProvider:
	default:
		again.Cost, again.CostKnown, again.CostState = 0, false, llmproxy.CostUnpriced
	}
	b := billing.Bill(&again)
	if r.CostState != llmproxy.CostProvider { // what the provider stated stays, with the markup of its day
		again.Cost, again.CostKnown, again.CostState = b.Cost, b.CostKnown, b.State
	}
	if r.CostKnown && !again.CostKnown {
		return again, false // today's configuration does not know the provider or the model any more
	}
	again.ListCost, again.ListCostKnown, again.PriceVersion = b.ListCost, b.ListCostKnown, b.PriceVersion
	return again, again.Cost != r.Cost || again.CostKnown != r.CostKnown || again.CostState != r.CostState ||
		again.ListCost != r.ListCost || again.ListCostKnown != r.ListCostKnown
}

func money(u llmproxy.USD, known bool) string {
	if !known {
		return "-"
	}
	return u.String()
}
