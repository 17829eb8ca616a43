package ledgersql

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// Row is one record as its columns.
type Row struct {
	ID           string
	Revision     int64
	Time         time.Time // in whole milliseconds, UTC
	Provider     string
	Model        string
	Key          string
	Outcome      string
	CostState    string
	ConnectionID string
	ResponseID   string
	Tags         string // a JSON object; "" without tags
	// Cost and ListCost are in picodollars; nil where it is not known.
	Cost, ListCost *int64
	Duration, TTFT int64 // in milliseconds
	Counters       [len(counterColumns)]int64
	Record         string // the record's JSON
}

// counterColumns are the columns of the counts of [llmproxy.Usage], in the order of
// [counters].
var counterColumns = [...]string{
	"prompt_tokens", "completion_tokens",
	"cache_read", "cache_read_audio", "cache_read_image",
	"cache_write", "cache_write_1h", "cache_write_5m",
	"input_audio", "input_image", "input_video", "input_tool", "citation",
	"reasoning", "output_audio", "output_image",
	"accepted_prediction", "rejected_prediction",
	"web_searches", "web_fetches", "search_units",
}

// counters returns where the counts of u are.
func counters(u *llmproxy.Usage) [len(counterColumns)]*int64 {
	return [...]*int64{
		&u.PromptTokens, &u.CompletionTokens,
		&u.CacheRead, &u.CacheReadAudio, &u.CacheReadImage,
		&u.CacheWrite, &u.CacheWrite1h, &u.CacheWrite5m,
		&u.InputAudio, &u.InputImage, &u.InputVideo, &u.InputTool, &u.Citation,
		&u.Reasoning, &u.OutputAudio, &u.OutputImage,
		&u.AcceptedPrediction, &u.RejectedPrediction,
		&u.WebSearches, &u.WebFetches, &u.SearchUnits,
	}
}

// Columns returns the columns that Insert fills, in the order of the members of a Row.
func Columns() []string {
	columns := []string{
		"id", "revision", "time", "provider", "model", "key", "outcome", "cost_state",
		"connection_id", "response_id", "tags", "cost", "list_cost", "duration_ms", "ttft_ms",
	}
	return append(append(columns, counterColumns[:]...), "record")
}

// OnConflict returns the end of an insert of Columns: a row takes the place of one with
// the same ID if its revision is higher. What was an original cost is one no more.
func OnConflict() string {
	var b strings.Builder
	b.WriteString(" ON CONFLICT (id) DO UPDATE SET original = NULL")
	for _, column := range Columns()[1:] {
		b.WriteString(", " + column + " = excluded." + column)
	}
	b.WriteString(" WHERE excluded.revision > usage_records.revision")
	return b.String()
}

// newRows returns one row for each ID, sorted by it, so that two writers of the same IDs
// do not wait for each other crosswise. Of several records with one ID it is the first
// of the highest revision.
func newRows(records []llmproxy.Record) []Row {
	rows := make([]Row, len(records))
	var text []byte
	for i := range records {
		text = rows[i].set(&records[i], text[:0])
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(b.Revision, a.Revision))
	})
	return slices.CompactFunc(rows, func(a, b Row) bool { return a.ID == b.ID })
}

// set makes row the columns of r. It returns text, where it has written r's JSON.
func (row *Row) set(r *llmproxy.Record, text []byte) []byte {
	text = r.AppendJSON(text)
	*row = Row{
		ID: columnText(r.ID), Revision: int64(r.Revision),
		Time:     time.UnixMilli(r.Time.UnixMilli()).UTC(),
		Provider: columnText(r.Provider), Model: columnText(r.Model), Key: columnText(r.Key),
		Outcome: columnText(string(r.Outcome)), CostState: columnText(string(r.CostState)),
		ConnectionID: columnText(r.ConnectionID), ResponseID: columnText(r.ResponseID),
		Tags:     columnTags(r.Tags),
		Duration: r.Duration.Milliseconds(), TTFT: r.TTFT.Milliseconds(),
		Record: string(text),
	}
	if r.CostKnown {
		row.Cost = new(int64(r.Cost))
	}
	if r.ListCostKnown {
		row.ListCost = new(int64(r.ListCost))
	}
	usage := r.Usage
	for i, n := range counters(&usage) {
		row.Counters[i] = *n
	}
	return text
}

// maxText is in bytes. Postgres indexes no text of 2700, and models and tags are the
// client's to choose: one that is too long must not keep a record out of the ledger.
const maxText = 400

// columnText returns s as it stands in a column. Bytes that are not UTF-8 are U+FFFD, as
// they are in the record's JSON. A text that is too long, or has a NUL, which Postgres
// refuses, is cut and ends in a hash of the whole, so that it still equals only itself.
func columnText(s string) string {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	if len(s) <= maxText && strings.IndexByte(s, 0) < 0 {
		return s
	}
	hash := sha256.Sum256([]byte(s))
	short := s[:min(len(s), maxText-len(hash)*2-1)]
	short = strings.ToValidUTF8(strings.ReplaceAll(short, "\x00", "?"), "")
	return short + "#" + hex.EncodeToString(hash[:])
}

// columnTags returns tags as a JSON object, "" without any.
func columnTags(tags map[string]string) string {
	if len(tags) == 0 {
		return ""
	}
	var room [512]byte
	text := append(room[:0], '{')
	for i, name := range slices.Sorted(maps.Keys(tags)) {
		if i > 0 {
			text = append(text, ',')
		}
		text = wire.AppendString(text, columnText(name))
		text = wire.AppendString(append(text, ':'), columnText(tags[name]))
	}
	return string(append(text, '}'))
}

// roundUp returns the first whole millisecond that is not before t: what is before it,
// in whole milliseconds, is before t.
func roundUp(t time.Time) time.Time {
	ms := time.UnixMilli(t.UnixMilli())
	if ms.Before(t) {
		ms = ms.Add(time.Millisecond)
	}
	return ms.UTC()
}
