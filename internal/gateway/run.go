package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/dashboard"
	"github.com/llmproxy/llmproxy/ledger"
	"github.com/llmproxy/llmproxy/pricing"
)

// Run loads the configuration from s and serves it, as [Gateway.Serve] does. It logs to
// w as the configuration says. version is shown on the operators' pages.
func Run(ctx context.Context, stop <-chan struct{}, s Source, version string, w io.Writer) error {
	c, err := s.Load()
	if err != nil {
		return err
	}
	logger := c.Log.logger(w)
	for _, f := range c.Warnings {
		logger.Warn(f.Message, "file", f.File, "line", f.Line)
	}
	for _, i := range c.Incomplete {
		logger.Warn("a provider is left out: a variable is missing", "provider", i.Provider, "set", i.Set, "missing", i.Missing)
	}
	// The listeners first: of two gateways with one configuration, the second ends here.
	l, err := c.Listen.listen(ctx)
	if err != nil {
		return err
	}
	defer l.Close() // which Serve does
	var al net.Listener
	if c.Admin != nil {
		if al, err = c.Admin.Listen.listen(ctx); err != nil {
			return fmt.Errorf("admin: %w", err)
		}
		defer al.Close()
	}
	r := &machinery{config: c, logger: logger}
	r.ctx, r.end = context.WithCancel(ctx)
	defer r.close()
	parts, err := r.open(version)
	if err != nil {
		return err
	}
	g, err := New(c, parts, logger)
	if err != nil {
		return err
	}
	if al != nil {
		r.background.Go(func() {
			if err := r.admin.serve(r.ctx, al, logger); err != nil {
				logger.Error("the admin listener ended", "error", err)
			}
		})
		logger.Info("admin", "address", addressOf(al))
	}
	logger.Info("listening", "address", g.addressOf(l), "providers", strings.Join(c.providerNames(), ","), "config", c.origin())
	return g.Serve(ctx, stop, l)
}

// machinery is what a gateway has open besides its listeners.
type machinery struct {
	config     *Config
	logger     *slog.Logger
	ctx        context.Context // of what runs in the background
	end        context.CancelFunc
	background sync.WaitGroup

	prices *pricing.Refresher
	books  *books // nil without a ledger
	admin  *admin // nil without the listener

	keyring *keyring // nil where no keys are asked for
}

// open makes what the gateway works with.
func (r *machinery) open(version string) (p Parts, err error) {
	c := r.config
	if r.prices, err = c.prices(r.logger); err != nil {
		return p, err
	}
	p.Billing = c.billing(r.prices)
	p.Recorder = LogRecorder(r.logger)
	if c.Ledger.URL != noLedger {
		if r.books, err = openBooks(r.ctx, c, r.logger); err != nil {
			return p, err
		}
		p.Recorder = bookRecorder{r.books.journal, p.Recorder}
		if age := time.Duration(c.Ledger.Retention); age > 0 {
			r.background.Go(func() { r.books.retain(r.ctx, age, r.logger) })
		}
	}
	if c.Auth.Mode == authKeys {
		if r.keyring, err = openKeyring(r.ctx, c, r.books, &p, r.logger); err != nil {
			return p, err
		}
		for _, run := range r.keyring.run {
			r.background.Go(func() { run(r.ctx) })
		}
	}
	if c.Admin != nil {
		if err := r.openAdmin(&p, version); err != nil {
			return p, err
		}
	}
	r.background.Go(func() { runPrices(r.ctx, r.prices, r.logger) })
	return p, nil
}

// openAdmin makes the operators' pages.
func (r *machinery) openAdmin(p *Parts, version string) (err error) {
	var records dashboard.Records
	if r.books != nil {
		records = ledger.View{Store: r.books.store, Dir: r.books.dir}
	} else {
		recent := ledger.NewMemory()
		records, p.Recorder = recent, memoryRecorder{recent, p.Recorder}
	}
	if r.admin, err = newAdmin(r.config, records, r.prices, version, r.logger); err != nil {
		return err
	}
	p.Recorder = r.admin.tail.Wrap(p.Recorder)
	p.Outer = append([]llmproxy.Interceptor{r.admin.metrics}, p.Outer...)
	p.Draining = func() { r.admin.draining.Store(true) }
	return nil
}

// close ends it all: what runs in the background first, the ledger last.
func (r *machinery) close() {
	r.end()
	r.background.Wait()
	if r.keyring != nil {
		if err := r.keyring.store.Close(); err != nil {
			r.logger.Warn("the keys were not closed", "error", err)
		}
	}
	if r.books != nil {
		r.books.close(r.logger)
	}
}

// memoryRecorder keeps records in memory, and tells next of them.
type memoryRecorder struct {
	store *ledger.Memory
	next  llmproxy.Recorder
}

func (m memoryRecorder) Begin(ctx context.Context, r *llmproxy.Record) error {
	return m.next.Begin(ctx, r)
}

func (m memoryRecorder) Record(ctx context.Context, r *llmproxy.Record) error {
	return errors.Join(m.store.Append(ctx, []llmproxy.Record{*r}), m.next.Record(ctx, r))
}
