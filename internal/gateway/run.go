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
	"sync/atomic"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/dashboard"
	"github.com/llmproxy/llmproxy/ledger"
	"github.com/llmproxy/llmproxy/pricing"
)

// Signals tell a running gateway what to do.
type Signals struct {
	Stop   <-chan struct{} // closed when it is to end in good order
	Reload <-chan struct{} // receives when the configuration is to be read again; nil: never
}

// Run loads the configuration from s and serves it, as [Gateway.Serve] does. It reads the
// configuration again when it is told to, and when its file changes. It logs to w as the
// configuration says. version is shown on the operators' pages.
func Run(ctx context.Context, signals Signals, s Source, version string, w io.Writer) error {
	c, err := s.Load()
	if err != nil {
		return err
	}
	logger := c.Log.logger(w)
	c.warn(logger)
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
	m := &machinery{source: s, first: c, logger: logger}
	m.ctx, m.end = context.WithCancel(ctx)
	defer m.close()
	if err := m.open(version); err != nil {
		return err
	}
	g, err := New(c, m.parts(m.active.Load()), logger)
	if err != nil {
		return err
	}
	if al != nil {
		m.background.Go(func() {
			if err := m.admin.serve(m.ctx, al, logger); err != nil {
				logger.Error("the admin listener ended", "error", err)
			}
		})
		logger.Info("admin", "address", addressOf(al))
	}
	m.background.Go(func() { m.reloads(g, signals.Reload, m.watch()) })
	logger.Info("listening", "address", g.addressOf(l), "providers", strings.Join(c.providerNames(), ","), "config", c.origin())
	return g.Serve(ctx, signals.Stop, l)
}

// warn logs what is odd about c.
func (c *Config) warn(logger *slog.Logger) {
	for _, f := range c.Warnings {
		logger.Warn(f.Message, "file", f.File, "line", f.Line)
	}
	for _, i := range c.Incomplete {
		logger.Warn("a provider is left out: a variable is missing", "provider", i.Provider, "set", i.Set, "missing", i.Missing)
	}
}

// machinery is what a gateway has open besides its listeners, whatever its configuration
// becomes.
type machinery struct {
	source     Source
	first      *Config // whose ledger, keys and admin listener it has
	logger     *slog.Logger
	ctx        context.Context // of what runs in the background
	end        context.CancelFunc
	background sync.WaitGroup

	active atomic.Pointer[active]

	recorder llmproxy.Recorder
	books    *books   // nil without a ledger
	admin    *admin   // nil without the listener
	keyring  *keyring // nil where no keys are asked for
}

// active is a configuration that counts, and what it says of money.
type active struct {
	config  *Config
	prices  *pricing.Refresher
	billing *llmproxy.BillingCalculator
	end     context.CancelFunc // of the refreshing of prices
}

// open makes what outlives the first configuration.
func (m *machinery) open(version string) error {
	c := m.first
	prices, err := c.prices(m.logger)
	if err != nil {
		return err
	}
	m.activate(c, prices)
	m.recorder = LogRecorder(m.logger)
	if c.Ledger.URL != noLedger {
		if m.books, err = openBooks(m.ctx, c, m.logger); err != nil {
			return err
		}
		m.recorder = bookRecorder{m.books.journal, m.recorder}
		if age := time.Duration(c.Ledger.Retention); age > 0 {
			m.background.Go(func() { m.books.retain(m.ctx, age, m.logger) })
		}
	}
	if c.Auth.Mode == authKeys {
		if m.keyring, err = openKeyring(m.ctx, c, m.books, m.billing(), m.reach, m.logger); err != nil {
			return err
		}
		for _, run := range m.keyring.background() {
			m.background.Go(func() { run(m.ctx) })
		}
	}
	if c.Admin != nil {
		return m.openAdmin(version)
	}
	return nil
}

// openAdmin makes the operators' pages.
func (m *machinery) openAdmin(version string) (err error) {
	var records dashboard.Records
	if m.books != nil {
		records = ledger.View{Store: m.books.store, Dir: m.books.dir}
	} else {
		recent := ledger.NewMemory()
		records, m.recorder = recent, memoryRecorder{recent, m.recorder}
	}
	shown := func() (*Config, *pricing.Refresher) {
		a := m.active.Load()
		return a.config, a.prices
	}
	if m.admin, err = newAdmin(m.first, records, shown, version, m.logger); err != nil {
		return err
	}
	m.recorder = m.admin.tail.Wrap(m.recorder)
	return nil
}

// parts returns what a gateway works with under a.
func (m *machinery) parts(a *active) Parts {
	p := Parts{Recorder: m.recorder, Billing: a.billing, Book: a.prices.Book}
	if m.admin != nil {
		p.Outer = append(p.Outer, m.admin.metrics)
		p.Draining = func() { m.admin.draining.Store(true) }
	}
	if m.keyring != nil {
		m.keyring.addTo(&p, a.config)
	}
	return p
}

// billing returns the calculator of the configuration that counts at the time.
func (m *machinery) billing() *llmproxy.BillingCalculator {
	return &llmproxy.BillingCalculator{
		Lookup: func(q llmproxy.CostQuery) (llmproxy.CostInfo, bool) { return m.active.Load().billing.Lookup(q) },
		Markup: func(r *llmproxy.Record) llmproxy.Ratio {
			if markup := m.active.Load().billing.Markup; markup != nil {
				return markup(r)
			}
			return llmproxy.Ratio{} // 1
		},
	}
}

// reach returns where else than it is routed an exchange may be sent to, by the
// configuration that counts at the time.
func (m *machinery) reach(x *llmproxy.Exchange) []llmproxy.Route {
	return m.active.Load().config.reach(x)
}

// activate makes c, whose prices are given, the configuration that counts.
func (m *machinery) activate(c *Config, prices *pricing.Refresher) {
	a, before := &active{config: c, prices: prices, billing: c.billing(prices)}, m.active.Load()
	switch {
	case before != nil && before.prices == prices:
		a.end = before.end
	default:
		var ctx context.Context
		ctx, a.end = context.WithCancel(m.ctx)
		m.background.Go(func() { runPrices(ctx, prices, m.logger) })
		if before != nil {
			before.end()
		}
	}
	m.active.Store(a)
}

// close ends it all: what runs in the background first, the ledger last.
func (m *machinery) close() {
	m.end()
	m.background.Wait()
	if m.keyring != nil {
		if err := m.keyring.store.Close(); err != nil {
			m.logger.Warn("the keys were not closed", "error", err)
		}
	}
	if m.books != nil {
		m.books.close(m.logger)
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
