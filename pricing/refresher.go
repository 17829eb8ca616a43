package pricing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmproxy/llmproxy"
)

const (
	// models.dev's list has some two megabytes.
	maxSource      = 32 << 20
	refreshTimeout = 30 * time.Second
	// retryAfter is the pause after a refresh that has failed, unless Every is shorter.
	retryAfter = 5 * time.Minute
)

// RefresherConfig says where prices come from. Its zero value has the embedded prices
// alone, and nothing to refresh.
type RefresherConfig struct {
	// From is a file or an http or https address of prices in the shape of models.dev;
	// "" for none. It may hold credentials: it is in no error.
	From  string
	Every time.Duration // between refreshes; 0 means 24 h

	Own      *List             // the operator's prices; nil for none
	Base     *List             // what From is laid over; nil means [Embedded]
	Families map[string]string // as in [Book.For]; nil if providers are called as their families

	Client *http.Client // nil means one of its own

	// Refreshed is told of each refresh that changed the book, and of each that failed
	// and so left it as it was. Nil is allowed. It is called by Run's goroutine.
	Refreshed func(version string, err error)
}

// Refresher holds the current [Book] and keeps it fresh. It may be used by many
// goroutines at once.
type Refresher struct {
	config RefresherConfig
	book   atomic.Pointer[Book]

	mu           sync.Mutex // guards the following, and is held during a refresh
	etag         string
	lastModified string
	modified     time.Time // of a file
	size         int64
	version      string
}

// NewRefresher returns a refresher whose book is that of the base: [Refresher.Refresh]
// or [Refresher.Run] fetches. The error is one of the lists'.
func NewRefresher(c RefresherConfig) (*Refresher, error) {
	if c.Base == nil {
		base, err := Embedded()
		if err != nil {
			return nil, err
		}
		c.Base = base
	}
	if c.Every <= 0 {
		c.Every = 24 * time.Hour
	}
	if c.Client == nil {
		c.Client = &http.Client{}
	}
	r := &Refresher{config: c}
	if err := r.use(c.Base); err != nil {
		return nil, err
	}
	return r, nil
}

// use makes list the current one.
func (r *Refresher) use(list *List) error {
	b, err := NewBook(r.config.Own, list)
	if err != nil {
		return err
	}
	if r.config.Families != nil {
		b = b.For(r.config.Families)
	}
	r.book.Store(b)
	return nil
}

// Book returns the current book.
func (r *Refresher) Book() *Book { return r.book.Load() }

// Lookup is [Book.Lookup] of the current book.
func (r *Refresher) Lookup(q llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
	return r.book.Load().Lookup(q)
}

// Run refreshes the book until ctx ends: at once, and then at its interval, sooner after
// a failure. It returns nil.
func (r *Refresher) Run(ctx context.Context) error {
	if r.config.From == "" {
		<-ctx.Done()
		return nil
	}
	for {
		pause := r.config.Every
		changed, err := r.Refresh(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			pause = min(pause, retryAfter)
		}
		if tell := r.config.Refreshed; tell != nil && (changed || err != nil) {
			r.mu.Lock()
			version := r.version
			r.mu.Unlock()
			tell(version, err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// Refresh reads the source once, within half a minute, and reports whether that has
// changed the book. With an error the book is the one it was; the error says nothing of
// the address.
func (r *Refresher) Refresh(ctx context.Context) (changed bool, err error) {
	if r.config.From == "" {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	read := r.file
	if strings.HasPrefix(r.config.From, "http://") || strings.HasPrefix(r.config.From, "https://") {
		read = r.fetch
	}
	text, commit, err := read(ctx)
	if err != nil {
		return false, fmt.Errorf("prices: %w", err)
	}
	if text == nil {
		return false, nil
	}
	list, err := ParseModelsDev(text, r.config.Base)
	if err != nil {
		return false, fmt.Errorf("prices: %w", err)
	}
	if list.Version != r.version {
		if err := r.use(Overlay(r.config.Base, list, time.Now())); err != nil {
			return false, fmt.Errorf("prices: %w", err)
		}
		r.version, changed = list.Version, true
	}
	commit()
	return changed, nil
}

// file reads the source from a file; text is nil if it is as it was. commit notes that
// its text is in use.
func (r *Refresher) file(context.Context) (text []byte, commit func(), err error) {
	f, err := os.Open(r.config.From)
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	if info.ModTime().Equal(r.modified) && info.Size() == r.size {
		return nil, nil, nil
	}
	text, err = readBounded(f)
	return text, func() { r.modified, r.size = info.ModTime(), info.Size() }, err
}

// fetch reads the source from its address; text is nil if it is as it was. commit notes
// that its text is in use.
func (r *Refresher) fetch(ctx context.Context) (text []byte, commit func(), err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.config.From, nil)
	if err != nil {
		return nil, nil, errors.New("not an address")
	}
	if r.etag != "" {
		req.Header.Set("If-None-Match", r.etag)
	}
	if r.lastModified != "" {
		req.Header.Set("If-Modified-Since", r.lastModified)
	}
	res, err := r.config.Client.Do(req)
	if err != nil {
		return nil, nil, withoutAddress(err)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotModified && r.etag+r.lastModified != "":
		return nil, nil, nil
	case res.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("status %d", res.StatusCode)
	}
	etag, lastModified := res.Header.Get("ETag"), res.Header.Get("Last-Modified")
	if text, err = readBounded(res.Body); err != nil {
		return nil, nil, withoutAddress(err)
	}
	return text, func() { r.etag, r.lastModified = etag, lastModified }, nil
}

func readBounded(from io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxSource+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSource {
		return nil, fmt.Errorf("more than %d bytes", maxSource)
	}
	return text, nil
}

// withoutAddress returns what err says, less the address that it quotes.
func withoutAddress(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// withoutPath returns what err says, less the path that it quotes.
func withoutPath(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}
