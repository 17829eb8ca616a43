package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
	"github.com/llmproxy/llmproxy/pricing"
)

// Demo is the gateway before a provider that is not real: it shows what is routed and
// metered, and then serves.
type Demo struct {
	// Listen is the address to listen on. "" is the default address, or a free port
	// where that is taken.
	Listen string
	// Provider answers in place of all providers, each at its own paths; OpenAI's API is
	// below /v1 and /openai/v1.
	Provider http.Handler
	// Key is the credential it wants to see. Of AWS, it is the key's id and its secret.
	Key string
	// Version is shown on the dashboard.
	Version string

	Stdout io.Writer // for the table
	Stderr io.Writer // for the log, once the table is there
}

// Run sends the gateway one request of each kind, prints what became of them, and serves
// until stop is closed or ctx ends, as [Gateway.Serve] does. A request that did not get
// what it should is the error. Nothing is written to disk.
func (d Demo) Run(ctx context.Context, stop <-chan struct{}) error {
	l, err := d.listen(ctx)
	if err != nil {
		return err
	}
	upstream, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(fmt.Errorf("the simulated provider: %w", plainReason(err)), l.Close())
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	provider := &http.Server{Handler: d.Provider, ReadHeaderTimeout: time.Minute}
	defer provider.Close()
	wg.Go(func() { _ = provider.Serve(upstream) })

	logger := Log{Format: formatText}.logger(d.Stderr)
	records := &demoRecorder{store: ledger.NewMemory(), next: LogRecorder(logger)}
	config := d.config(addressOf(upstream))
	prices, err := config.prices(logger)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	al, err := d.listenAdmin(ctx)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	pages, err := newAdmin(config, records.store, func() (*Config, *pricing.Refresher) { return config, prices }, d.Version, logger)
	if err != nil {
		return errors.Join(err, l.Close(), al.Close())
	}
	parts := Parts{
		Recorder: pages.tail.Wrap(records), Billing: config.billing(prices), Book: prices.Book,
		Outer: []llmproxy.Interceptor{pages.metrics}, Draining: func() { pages.draining.Store(true) },
	}
	g, err := New(config, parts, logger)
	if err != nil {
		return errors.Join(err, l.Close(), al.Close())
	}
	showing, hide := context.WithCancel(ctx)
	defer hide()
	wg.Go(func() {
		if err := pages.serve(showing, al, logger); err != nil {
			logger.Error("the dashboard ended", "error", err)
		}
	})
	// It ends with a signal, and the tour and the serving with it.
	ending, end := context.WithCancel(ctx)
	defer end()
	wg.Go(func() {
		select {
		case <-stop:
			end()
		case <-ending.Done():
		}
	})
	served := make(chan error, 1)
	wg.Go(func() { served <- g.Serve(ctx, ending.Done(), l) })

	t := tour{listener: l, dashboard: addressOf(al), records: records, out: d.Stdout}
	if err := t.run(ending); err != nil {
		select {
		case <-stop: // what a signal broke off is no fault
		case <-ending.Done():
		default:
			end()
			return errors.Join(err, <-served)
		}
		end()
	}
	records.release()
	return <-served
}

// listenAdmin opens the default address of the dashboard, or a free port.
func (d Demo) listenAdmin(ctx context.Context) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", defaultAdminListen)
	if err != nil {
		l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("the dashboard: %w", plainReason(err))
	}
	return l, nil
}

// listen opens the address that d names.
func (d Demo) listen(ctx context.Context) (net.Listener, error) {
	text := d.Listen
	if text == "" {
		text = defaultListen
	}
	address, err := parseAddress(text)
	if err != nil {
		return nil, Faults{{Message: fmt.Sprintf("--listen: %q %v", text, err)}}
	}
	l, err := address.listen(ctx)
	if d.Listen == "" && errors.Is(err, syscall.EADDRINUSE) {
		return Address{Network: "tcp", Address: "127.0.0.1:0"}.listen(ctx)
	}
	return l, err
}

// config returns one provider for each way to call one, all of them at upstream, and two
// that are called like OpenAI, so that there is something to route.
func (d Demo) config(upstream string) *Config {
	c := &Config{
		Providers: []ProviderConfig{
			{Name: "openai", APIKey: d.Key, BaseURL: upstream + "/v1"},
			{Name: "groq", APIKey: d.Key, BaseURL: upstream + "/openai/v1"},
			{Name: "anthropic", APIKey: d.Key, BaseURL: upstream},
			{Name: "googleai", APIKey: d.Key, BaseURL: upstream},
			{Name: "bedrock", Region: "us-east-1", AccessKeyID: d.Key, SecretAccessKey: d.Key, BaseURL: upstream},
			{Name: "azure", APIKey: d.Key, BaseURL: upstream},
			{Name: "cohere", APIKey: d.Key, BaseURL: upstream},
		},
		Fallback: "openai",
	}
	c.withDefaults()
	return c
}

// demoRecorder keeps the records in memory, and tells next of those that come after the
// tour.
type demoRecorder struct {
	store *ledger.Memory
	next  llmproxy.Recorder
	later atomic.Bool // the tour is over
}

func (d *demoRecorder) Begin(ctx context.Context, r *llmproxy.Record) error {
	return d.next.Begin(ctx, r)
}

func (d *demoRecorder) Record(ctx context.Context, r *llmproxy.Record) error {
	err := d.store.Append(ctx, []llmproxy.Record{*r})
	if d.later.Load() {
		err = errors.Join(err, d.next.Record(ctx, r))
	}
	return err
}

// selected returns the records that f selects.
func (d *demoRecorder) selected(ctx context.Context, f ledger.Filter) (found []llmproxy.Record, err error) {
	err = d.store.Records(ctx, f, func(r *llmproxy.Record) error {
		found = append(found, *r)
		return nil
	})
	return found, err
}

// release ends the tour.
func (d *demoRecorder) release() { d.later.Store(true) }
