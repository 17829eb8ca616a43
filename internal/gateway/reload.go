package gateway

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/llmproxy/llmproxy/pricing"
)

// pricesTimeout bounds the fetch of another configuration's prices, before it counts.
const pricesTimeout = 10 * time.Second

// reloads reads the configuration again whenever asked receives, or w sees another text,
// until the machinery ends. It closes w, which may be nil.
func (m *machinery) reloads(g *Gateway, asked <-chan struct{}, w *watch) {
	settled := time.NewTimer(settleTime)
	settled.Stop()
	defer settled.Stop()
	var events <-chan fsnotify.Event
	var faults <-chan error
	if w != nil {
		defer w.close()
		events, faults = w.Events, w.Errors
	}
	for {
		select {
		case <-m.ctx.Done():
			return
		case e := <-events:
			if w.concerns(e) {
				settled.Reset(settleTime)
			}
		case err := <-faults:
			m.logger.Warn("the configuration file is not watched well: SIGHUP has it read again", "error", err)
		case <-asked:
			m.logger.Info("reading the configuration again", "reason", "signal")
			if w != nil {
				w.seen()
			}
			m.reload(g)
		case <-settled.C:
			if w.seen() {
				m.logger.Info("reading the configuration again", "reason", "the file is another")
				m.reload(g)
			}
		}
	}
}

// reload reads the configuration and puts it in the place of the one that counts. One with
// faults is refused: the one before stays.
func (m *machinery) reload(g *Gateway) {
	const refused = "the new configuration is refused: the one before stays"
	c, err := m.source.Load()
	var faults Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			m.logger.Error(f.Message, "file", f.File, "line", f.Line)
		}
		m.logger.Error(refused, "faults", len(faults))
		return
	}
	var prices *pricing.Refresher
	before := m.active.Load()
	kept := []string(nil)
	if err == nil {
		kept = c.keep(before.config)
		prices, err = m.pricesOf(c, before)
	}
	if err == nil {
		next := &active{config: c, prices: prices, billing: c.billing(prices)}
		err = g.Reload(c, m.parts(next))
	}
	if err != nil {
		m.logger.Error(refused, "error", err)
		return
	}
	m.activate(c, prices)
	c.warn(m.logger)
	for _, key := range kept {
		m.logger.Warn(key + " is another now, and counts from the next start on")
	}
	m.logger.Info("the new configuration counts", "providers", strings.Join(c.providerNames(), ","), "config", c.origin())
}

// pricesOf returns the prices of c: those that are known, where it says the same of them.
func (m *machinery) pricesOf(c *Config, before *active) (*pricing.Refresher, error) {
	if reflect.DeepEqual(c.Providers, before.config.Providers) && c.Pricing.Source == before.config.Pricing.Source && c.Pricing.Refresh == before.config.Pricing.Refresh {
		return before.prices, nil
	}
	prices, err := c.prices(m.logger)
	if err != nil || c.Pricing.Source.from() == "" {
		return prices, err
	}
	ctx, cancel := context.WithTimeout(m.ctx, pricesTimeout)
	defer cancel()
	if _, err := prices.Refresh(ctx); err != nil {
		m.logger.Warn("the prices of the new configuration cannot be fetched: those of the embedded list hold until they can", "error", err)
	}
	return prices, nil
}
