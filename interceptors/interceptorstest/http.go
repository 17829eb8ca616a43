package interceptorstest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/llmproxy/llmproxy"
)

// post makes the exchange e, and checks what became of it.
func (r *rig) post(e exchange) {
	t := r.t
	r.flaky = e.flaky
	status, answer, err := r.send(e)
	if err != nil {
		t.Fatal(err)
	}
	rec := r.record()
	r.noMore()
	r.untouched()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.calls) == 0 {
		t.Fatalf("the provider was not called; the client got %d %s", status, answer)
	}
	last := r.calls[len(r.calls)-1]
	if status != last.status || !r.does.ChangesAnswer && answer != last.answer.String() {
		t.Errorf("the client got %d\n%s\nthe provider said %d\n%s", status, answer, last.status, &last.answer)
	}
	for i, c := range r.calls {
		if c.body != last.body || !r.does.ChangesRequest && c.body != e.body {
			t.Errorf("call %d was sent\n%s\nthe client sent\n%s\nthe last call was sent\n%s", i, c.body, e.body, last.body)
		}
	}
	if len(rec.Attempts) != len(r.calls) || rec.Status != status || rec.Attempts[len(rec.Attempts)-1].Status != status {
		t.Errorf("%d calls, the last one %d; the record has %d, %+v", len(r.calls), status, rec.Status, rec.Attempts)
	}
	if want := llmproxy.OutcomeCompleted; status == http.StatusOK && (rec.Outcome != want || rec.Usage.TotalTokens() == 0) {
		t.Errorf("the record says %s, %+v", rec.Outcome, rec.Usage)
	}
}

// send posts e and returns the answer.
func (r *rig) send(e exchange) (status int, answer string, err error) {
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.gateway+e.path, strings.NewReader(e.body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// crowd makes many exchanges at once: interceptors are shared by all.
func (r *rig) crowd() {
	var wg sync.WaitGroup
	faults := make(chan error, 64)
	for range 4 {
		for _, e := range exchanges[:4] {
			wg.Go(func() {
				if status, answer, err := r.send(e); err != nil || status != http.StatusOK {
					faults <- fmt.Errorf("%s: %d %s, %w", e.name, status, answer, err)
				}
			})
		}
	}
	wg.Wait()
	close(faults)
	for err := range faults {
		r.t.Error(err)
	}
	for range 16 {
		r.record()
	}
	r.noMore()
	r.untouched()
}
