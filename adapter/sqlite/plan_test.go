package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"modernc.org/sqlite"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// recording notes the queries of the connections that it makes.
type recording struct {
	driver.Connector

	mu      sync.Mutex
	queries []asked // guarded by mu
}

type asked struct {
	query string
	args  []any
}

func (r *recording) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := r.Connector.Connect(ctx)
	return recorded{conn, r}, err
}

type recorded struct {
	driver.Conn
	to *recording
}

func (r recorded) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	a := asked{query: query}
	for _, arg := range args {
		a.args = append(a.args, arg.Value)
	}
	r.to.mu.Lock()
	r.to.queries = append(r.to.queries, a)
	r.to.mu.Unlock()
	return r.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

// last returns the query that was asked last.
func (r *recording) last() asked {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queries[len(r.queries)-1]
}

// What is asked often does not read the whole ledger. SQLite has to see that without
// statistics: a new ledger has none.
func TestQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	f, writing := opened(t, path)
	if err := writing.Append(t.Context(), []llmproxy.Record{record("a", 1)}); err != nil {
		t.Fatal(err)
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path)}
	plain, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{Connector: plain}
	db := sql.OpenDB(r)
	defer db.Close()
	seen := *f
	seen.reads = db
	s := seen.store() // the other one closes the file

	var (
		day     = ledger.Filter{Since: time.UnixMilli(0), Until: time.UnixMilli(86400_000)}
		recent  = ledger.Filter{Since: time.UnixMilli(0)}
		records = func(f ledger.Filter) error {
			return s.Records(t.Context(), f, func(*llmproxy.Record) error { return nil })
		}
		repriced = func(f ledger.Filter) error {
			return s.Repriced(t.Context(), f, func(_, _ *llmproxy.Record) error { return nil })
		}
		sums = func(by ledger.Grouping) func(ledger.Filter) error {
			return func(f ledger.Filter) error { _, err := s.Sums(t.Context(), f, by); return err }
		}
	)
	with := func(change func(*ledger.Filter)) ledger.Filter {
		f := day
		change(&f)
		return f
	}
	for _, tt := range []struct {
		name  string
		call  func(ledger.Filter) error
		f     ledger.Filter
		index string
	}{
		{"a day", records, day, "usage_records_time (time>? AND time<?)"},
		{"a page", records, with(func(f *ledger.Filter) { f.After = "a" }), "usage_records_time (time>? AND time<?)"},
		{"a page, newest first", records, with(func(f *ledger.Filter) { f.After, f.Newest = "a", true }), "usage_records_time (time>? AND time<?)"},
		{"a key", records, with(func(f *ledger.Filter) { f.Key = "k" }), "usage_records_key (key=? AND time>? AND time<?)"},
		{"a model", records, with(func(f *ledger.Filter) { f.Model = "m" }), "usage_records_model (model=? AND time>? AND time<?)"},
		{"a provider", records, with(func(f *ledger.Filter) { f.Provider = "p" }), "usage_records_provider (provider=? AND time>? AND time<?)"},
		{"a connection", records, ledger.Filter{ConnectionID: "c"}, "usage_records_connection (connection_id=?)"},
		{"one record", records, ledger.Filter{ID: "a"}, "sqlite_autoindex_usage_records_1 (id=?)"},
		{"a tag", records, with(func(f *ledger.Filter) { f.Tag = "team=a" }), "usage_records_time (time>? AND time<?)"},
		{"repriced", repriced, day, "usage_records_original (time>? AND time<?)"},
		{"sums", sums(ledger.ByNothing), recent, "usage_records_time (time>?)"},
		{"sums by model", sums(ledger.ByModel), recent, "usage_records_time (time>?)"},
		{"sums by key", sums(ledger.ByKey), recent, "usage_records_time (time>?)"},
		{"sums by day", sums(ledger.ByDay), recent, "usage_records_time (time>?)"},
		{"sums by tag", sums(ledger.ByTag + "team"), recent, "usage_records_time (time>?)"},
		{"sums of a key", sums(ledger.ByModel), with(func(f *ledger.Filter) { f.Key = "k" }), "usage_records_key (key=? AND time>? AND time<?)"},
		{
			"pending", func(ledger.Filter) error { _, _, err := s.Pending(t.Context(), "p", "r"); return err },
			day, "usage_records_pending (response_id=? AND provider=?)",
		},
	} {
		if err := tt.call(tt.f); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if plan := explain(t, f.reads, r.last()); !strings.Contains(plan, "SEARCH usage_records USING INDEX "+tt.index+"\n") {
			t.Errorf("%s: got the plan\n%sof %s\nwant a search by %s", tt.name, plan, r.last().query, tt.index)
		}
	}
}

func explain(t *testing.T, db *sql.DB, a asked) (plan string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+a.query, a.args...)
	if err != nil {
		t.Fatalf("%s: %v", a.query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan += "\t" + detail + "\n"
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}
