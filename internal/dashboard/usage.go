package dashboard

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// The records of one answer of /api/usage.
const (
	usageLimit    = 1000
	usageMaxLimit = 10_000
)

// usageJSON is the answer of /api/usage.
type usageJSON struct {
	Since   *time.Time        `json:"since,omitempty"`
	Until   *time.Time        `json:"until,omitempty"`
	By      string            `json:"by,omitempty"`
	Total   *sumJSON          `json:"total,omitempty"` // absent on a page that goes on after another
	Sums    []sumJSON         `json:"sums,omitempty"`  // of the groups of By
	Records []json.RawMessage `json:"records"`
	Next    string            `json:"next,omitempty"` // what to go on after; absent at the end
}

// sumJSON is one group, with the members that llmproxy usage --json has, and the times.
type sumJSON struct {
	Group       string         `json:"group"`
	Exchanges   int64          `json:"exchanges"`
	Errors      int64          `json:"errors"`
	Usage       llmproxy.Usage `json:"usage"`
	CostUSD     string         `json:"cost_usd"`
	ListCostUSD string         `json:"list_cost_usd"`
	Unpriced    int64          `json:"unpriced"`
	Estimated   int64          `json:"estimated"`
	DurationMS  int64          `json:"duration_ms_sum"`
	TTFTMS      int64          `json:"ttft_ms_sum"`
	TTFTs       int64          `json:"ttft_count"`
}

func toJSON(s *ledger.Sum) sumJSON {
	return sumJSON{
		Group: s.Group, Exchanges: s.Exchanges, Errors: s.Errors, Usage: s.Usage,
		CostUSD: s.Cost.String(), ListCostUSD: s.ListCost.String(), Unpriced: s.Unpriced, Estimated: s.Estimated,
		DurationMS: s.DurationSum.Milliseconds(), TTFTMS: s.TTFTSum.Milliseconds(), TTFTs: s.TTFTCount,
	}
}

// apiUsage answers with records, the newest first unless order says oldest, and with sums
// over all that the filters select.
func (d *Dashboard) apiUsage(w http.ResponseWriter, r *http.Request) {
	var answer usageJSON
	err := d.oneOfFew(r.Context(), func() (err error) {
		answer, err = d.usage(r)
		return err
	})
	if err != nil {
		writeError(w, d.failed(r, err))
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (d *Dashboard) usage(r *http.Request) (answer usageJSON, err error) {
	q, err := queryOf(r, paramSince, paramUntil, paramBy, paramProvider, paramModel, paramKey, paramTag,
		paramOutcome, paramConnection, paramID, paramLimit, paramAfter, paramOrder)
	if err != nil {
		return answer, err
	}
	f, err := filterOf(q, d.o.Now().UTC())
	if err != nil {
		return answer, err
	}
	by, err := parseGrouping(q.Get(paramBy))
	if err != nil {
		return answer, err
	}
	limit, err := parseLimit(q.Get(paramLimit), usageLimit, usageMaxLimit)
	if err != nil {
		return answer, err
	}
	switch q.Get(paramOrder) {
	case "", "newest":
		f.Newest = true
	case "oldest":
	default:
		return answer, invalid(paramOrder, "want newest or oldest")
	}
	answer = usageJSON{By: string(by), Records: []json.RawMessage{}}
	if !f.Since.IsZero() {
		answer.Since = &f.Since
	}
	if !f.Until.IsZero() {
		answer.Until = &f.Until
	}
	if f.After == "" {
		if err := d.sums(r, f, by, &answer); err != nil {
			return answer, err
		}
	}
	records, more, err := d.pageOf(r, f, limit)
	if err != nil {
		return answer, err
	}
	for i := range records {
		answer.Records = append(answer.Records, records[i].AppendJSON(nil))
	}
	if more {
		answer.Next = records[len(records)-1].ID
	}
	return answer, nil
}

// sums fills in the sums of answer.
func (d *Dashboard) sums(r *http.Request, f ledger.Filter, by ledger.Grouping, answer *usageJSON) error {
	total, err := d.o.Records.Sums(r.Context(), f, ledger.ByNothing)
	if err != nil {
		return err
	}
	answer.Total = &sumJSON{CostUSD: "0", ListCostUSD: "0"}
	for i := range total {
		*answer.Total = toJSON(&total[i])
	}
	if by == ledger.ByNothing {
		return nil
	}
	groups, err := d.o.Records.Sums(r.Context(), f, by)
	if err != nil {
		return err
	}
	answer.Sums = make([]sumJSON, 0, len(groups))
	for i := range groups {
		answer.Sums = append(answer.Sums, toJSON(&groups[i]))
	}
	return nil
}

// pageOf returns at most limit of the records that f selects, and whether there are more.
// Where f goes on after a record that is not there, the error says so.
func (d *Dashboard) pageOf(r *http.Request, f ledger.Filter, limit int) (records []llmproxy.Record, more bool, err error) {
	if limit == 0 {
		return nil, false, nil
	}
	if f.After != "" {
		known := false
		err := d.o.Records.Records(r.Context(), ledger.Filter{ID: f.After, Limit: 1}, func(*llmproxy.Record) error {
			known = true
			return nil
		})
		if err != nil {
			return nil, false, err
		}
		if !known {
			return nil, false, invalid(paramAfter, "there is no record of that id")
		}
	}
	f.Limit = limit + 1
	err = d.o.Records.Records(r.Context(), f, func(record *llmproxy.Record) error {
		if len(records) == limit {
			more = true
			return nil
		}
		records = append(records, cloneRecord(record))
		return nil
	})
	return records, more, err
}
