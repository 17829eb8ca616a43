package ledger

import (
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
)

// The store gets the same whether a record comes from memory or from the file.
func TestFreshIsWhatIsWritten(t *testing.T) {
	t.Parallel()
	var want []llmproxy.Record
	odd := func(id string, change func(*llmproxy.Record)) *llmproxy.Record {
		r := record(id)
		change(r)
		return r
	}
	records := []*llmproxy.Record{
		record("a"),
		odd("b", func(r *llmproxy.Record) { r.Time = noon.Add(123456789).In(time.FixedZone("east", 3600)) }),
		odd("c", func(r *llmproxy.Record) { r.Duration, r.TTFT = 1234567, 999999 }),
		odd("d", func(r *llmproxy.Record) { r.Tags = map[string]string{"latin": "caf\xe9", "\xff": "x"} }),
		odd("e", func(r *llmproxy.Record) { r.ModelRequested = "\ufffd" }),
		odd("f", func(r *llmproxy.Record) { r.ModelAsked = "" }),
		odd("g", func(r *llmproxy.Record) { r.ModelRequested = string(make([]byte, mib)) }),
		odd("h", func(r *llmproxy.Record) { r.Tags, r.Attempts = nil, nil }),
	}
	for _, r := range records {
		pooled, _ := encode(kindRecord, r)
		e, ok := entryAt(*pooled)
		var decoded llmproxy.Record
		if err := decoded.UnmarshalJSON(e.payload); err != nil || !ok {
			t.Fatal(ok, err)
		}
		want = append(want, decoded)
	}
	for _, restart := range []bool{false, true} {
		d, s := newDisk(), &testStore{}
		if restart {
			s.set(errDown)
		}
		j := started(t, d, s, Options{})
		keep(t, j, records...)
		if restart {
			j.halt()
			s.set(nil)
			j = started(t, d.crash(), s, Options{})
		}
		j.shut(t)
		got := s.all(t)
		byID := map[string]llmproxy.Record{}
		for _, r := range got {
			byID[r.ID] = r
		}
		for _, w := range want {
			if !reflect.DeepEqual(byID[w.ID], w) {
				t.Errorf("after a restart: %t\n got %+v\nwant %+v", restart, byID[w.ID], w)
			}
		}
	}
}

// More than are kept in memory come all the same, each once.
func TestMoreThanFresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &testStore{down: errDown}
		j := started(t, newDisk(), s, Options{})
		var want []string
		for i := range 3*mostFresh + 100 {
			id := fmt.Sprintf("id%05d", i)
			if finish(t, j, id); i%1000 == 999 {
				pass(time.Second)
			}
			want = append(want, id+".0")
		}
		s.set(nil)
		j.shut(t)
		sameIDs(t, "records", s.ids(t), want...)
	})
}
