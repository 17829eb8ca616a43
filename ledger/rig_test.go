package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
)

// testStore is a Memory that can be down, hang, and refuse single records.
type testStore struct {
	Memory
	mu      sync.Mutex
	down    error
	refuses func(*llmproxy.Record) bool
	calls   []time.Time // of Append
	sizes   []int
}

var errDown = errors.New("the store is down")

func (s *testStore) set(down error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// appends returns when Append was called, and with how many records.
func (s *testStore) appends() (calls []time.Time, sizes []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls), slices.Clone(s.sizes)
}

func (s *testStore) fault(records []llmproxy.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.sizes = append(s.calls, time.Now()), append(s.sizes, len(records))
	if s.down != nil {
		return s.down
	}
	for i := range records {
		if s.refuses != nil && s.refuses(&records[i]) {
			return fmt.Errorf("test: %w", ErrRefused)
		}
	}
	return nil
}

func (s *testStore) Append(ctx context.Context, records []llmproxy.Record) error {
	if err := s.fault(records); err != nil {
		return err
	}
	return s.Memory.Append(ctx, records)
}

func (s *testStore) Pending(ctx context.Context, provider, responseID string) (llmproxy.Record, bool, error) {
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	if down != nil {
		return llmproxy.Record{}, false, down
	}
	return s.Memory.Pending(ctx, provider, responseID)
}

func (s *testStore) all(t testing.TB) (list []llmproxy.Record) {
	t.Helper()
	err := s.Records(context.Background(), Filter{}, func(r *llmproxy.Record) error {
		list = append(list, *r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (s *testStore) ids(t testing.TB) (list []string) {
	t.Helper()
	for _, r := range s.all(t) {
		list = append(list, fmt.Sprintf("%s.%d", r.ID, r.Revision))
	}
	return list
}

func sameIDs(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// log gathers what a journal logs.
type log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// started opens a journal on d.
func started(t testing.TB, d files, s Store, o Options) *Journal {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = mib // a disk in memory is slow with more
	}
	j, err := open(d, s, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// halt ends a journal as SIGKILL does: nothing is flushed.
func (j *Journal) halt() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.stop()
	j.running.Wait()
	close(j.ended)
	j.closeFiles()
}

// shut closes a journal whose store is up.
func (j *Journal) shut(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := j.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// intent is what a router tells Begin.
func intent(id string) *llmproxy.Record {
	return &llmproxy.Record{
		ID: id, Time: noon, Provider: "openai", API: llmproxy.APIResponses, Transport: llmproxy.TransportSSE,
		ModelRequested: "openai/gpt-5-mini", ModelAsked: "gpt-5-mini", Model: "gpt-5-mini", Key: "key_1",
		Tags: map[string]string{"team": "a"},
	}
}

// record is what a router tells Record.
func record(id string) *llmproxy.Record {
	r := intent(id)
	r.ResponseID, r.Status, r.Outcome, r.FinishReason = "resp_"+id, 200, llmproxy.OutcomeCompleted, "stop"
	r.Usage = llmproxy.Usage{PromptTokens: 1200, CompletionTokens: 340, CacheRead: 1024, Reasoning: 128}
	r.UsageSource, r.Cost, r.CostKnown, r.CostState = llmproxy.UsageProvider, 749_600_000, true, llmproxy.CostExact
	r.ListCost, r.ListCostKnown, r.PriceVersion = 749_600_000, true, "2026-11-23"
	r.Duration, r.TTFT = 812*time.Millisecond, 190*time.Millisecond
	r.Attempts = []llmproxy.Attempt{{Provider: "openai", Model: "gpt-5-mini", Status: 200}}
	return r
}

// created is the record of a background response's creation.
func created(id string) *llmproxy.Record {
	r := record(id)
	r.Outcome, r.FinishReason, r.Usage, r.UsageSource = llmproxy.OutcomePending, "", llmproxy.Usage{}, llmproxy.UsageNone
	r.Cost, r.CostKnown, r.ListCost, r.ListCostKnown, r.CostState, r.PriceVersion = 0, false, 0, false, llmproxy.CostPending, ""
	return r
}

func begin(t testing.TB, j *Journal, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := j.Begin(context.Background(), intent(id)); err != nil {
			t.Fatalf("Begin(%s): %v", id, err)
		}
	}
}

func finish(t testing.TB, j *Journal, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := j.Record(context.Background(), record(id)); err != nil {
			t.Fatalf("Record(%s): %v", id, err)
		}
	}
}

func flush(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Flush(context.Background()); err != nil {
		t.Fatalf("Flush: %v", err)
	}
}

// pass lets virtual time go by.
func pass(d time.Duration) { <-time.After(d) }
