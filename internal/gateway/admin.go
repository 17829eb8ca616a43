package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/llmproxy/llmproxy/adapter/prometheus"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/internal/dashboard"
	"github.com/llmproxy/llmproxy/ledger"
	"github.com/llmproxy/llmproxy/pricing"
)

// Admin says where health, metrics, the usage API and the dashboard are served. Without
// it they are not.
type Admin struct {
	Listen Address `yaml:"listen"`
	Token  string  `yaml:"token" secret:"true"`
}

const defaultAdminListen = "127.0.0.1:8081"

// admin is the listener for operators.
type admin struct {
	dashboard *dashboard.Dashboard
	tail      *dashboard.Tail
	metrics   *interceptors.Metrics
	draining  atomic.Bool
	journal   *ledger.Journal // nil without a ledger
}

// newAdmin returns the pages of c over records. Its metrics have to be in the chain, and
// its tail around the recorder. shown returns the configuration whose providers are shown,
// and their prices.
func newAdmin(c *Config, records dashboard.Records, shown func() (*Config, *pricing.Refresher), version string, logger *slog.Logger) (*admin, error) {
	a := &admin{tail: &dashboard.Tail{}, metrics: &interceptors.Metrics{}}
	var token string
	var hosts []string
	if c.Admin != nil {
		token = c.Admin.Token
	}
	for _, h := range c.Hosts {
		hosts = append(hosts, string(h))
	}
	var err error
	a.dashboard, err = dashboard.New(dashboard.Options{
		Records: records,
		Live:    a.tail,
		Providers: func() []dashboard.Provider {
			c, _ := shown()
			return c.shownProviders()
		},
		Models: func() []dashboard.Model {
			c, prices := shown()
			return dashboard.ModelsOf(prices.Book().Rows(), time.Now(), c.shownProviders(), func(p dashboard.Provider) string { return pricing.Family(p.Type) })
		},
		Metrics:  prometheus.Handler(a.metrics),
		NotReady: a.notReady,
		Token:    token,
		Hosts:    hosts,
		Version:  version,
		Logger:   logger,
	})
	return a, err
}

// shownProviders returns the providers as the pages name them.
func (c *Config) shownProviders() []dashboard.Provider {
	shown := make([]dashboard.Provider, 0, len(c.Providers))
	for _, p := range c.Providers {
		shown = append(shown, dashboard.Provider{Name: p.Name, Type: p.Type})
	}
	return shown
}

func (a *admin) notReady() (reasons []string) {
	if a.draining.Load() {
		reasons = append(reasons, "draining")
	}
	if a.journal != nil && a.journal.Ready() != nil {
		reasons = append(reasons, "the ledger takes no records")
	}
	return reasons
}

// serve answers on l until ctx ends. It closes l.
func (a *admin) serve(ctx context.Context, l net.Listener, logger *slog.Logger) error {
	s := &http.Server{
		Handler: a.dashboard, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() {
		a.tail.Close()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		if s.Shutdown(closing) != nil {
			_ = s.Close()
		}
	})
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// validateAdmin refuses an admin listener that strangers can read.
func (c *Config) validateAdmin(d *decoder) {
	if c.Admin == nil || d.faultyBelow("admin") {
		return
	}
	if !c.Admin.Listen.Loopback() && c.Admin.Token == "" {
		d.fault("admin", d.at("admin.listen"), "admin.listen: other machines can reach this address: give it a token, or listen on a loopback address such as %s", defaultAdminListen)
	}
	if c.Admin.Listen == c.Listen && c.Listen.Address != "" {
		d.fault("admin", d.at("admin.listen"), "admin.listen: this is the data listener's address; give one of the two another port")
	}
}
