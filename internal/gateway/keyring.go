package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/postgres"
	"github.com/llmproxy/llmproxy/adapter/sqlite"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/keys"
	"github.com/llmproxy/llmproxy/ledger"
)

// keyStore keeps gateway keys and what was made with them.
type keyStore interface {
	keys.Store
	keys.OwnerStore
	Close() error
}

// openKeys opens the keys in the ledger's database.
func openKeys(ctx context.Context, u LedgerURL) (keyStore, error) {
	if file := u.file(); file != "" {
		return sqlite.OpenKeys(ctx, file)
	}
	return postgres.OpenKeys(ctx, string(u))
}

// keyring is what a gateway has to do with keys. It outlives a change of the configuration:
// what is held, owed and remembered is in it.
type keyring struct {
	store  keyStore
	ring   *keys.Ring
	owners *keys.Owners
	budget *keys.Budget
	limits *interceptors.Limits
}

// openKeyring reads the keys of c, whose ledger is b; billing prices what they spend, and
// reach says where else than it is routed an exchange may be sent to.
func openKeyring(ctx context.Context, c *Config, b *books, billing *llmproxy.BillingCalculator, reach func(*llmproxy.Exchange) []llmproxy.Route, logger *slog.Logger) (*keyring, error) {
	store, err := openKeys(ctx, c.Ledger.URL)
	if err != nil {
		return nil, fmt.Errorf("the keys: %w", err)
	}
	ring, err := keys.NewRing(ctx, store, keys.RingOptions{Logger: logger})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the keys: %w", err), store.Close())
	}
	records := bookKeeper{ledger.View{Store: b.store, Dir: b.dir}}
	var holder keys.Holder = keys.NewLocal(records)
	if several, ok := store.(keys.Holder); ok {
		holder = several // nodes share the database, and so the budgets
	}
	return &keyring{
		store: store, ring: ring, limits: keyLimits(ring),
		owners: keys.NewOwners(store, keys.OwnersOptions{Logger: logger}),
		budget: &keys.Budget{
			Keys: ring, Holder: holder, Billing: billing, Background: records, Logger: logger,
			Reach:         reach,
			AllowUnpriced: c.Pricing.Unpriced == unpricedAllow, AllowStoreDown: c.Ledger.OnStoreDown == storeDownAllow,
		},
	}, nil
}

// addTo puts into p what watches over the keys as c wants it.
func (k *keyring) addTo(p *Parts, c *Config) {
	p.Keys = k.ring
	p.Outer = append(p.Outer, k.limits, k.budget)
	p.Inner = append(p.Inner, &keys.Access{Keys: k.ring, Owners: k.owners, Share: c.Auth.ShareTag, AllowUnknown: c.Auth.AllowUnknown})
	p.Door = func(next http.Handler) http.Handler { return keys.Authenticate(k.ring, next) }
}

// background returns what runs as long as the gateway.
func (k *keyring) background() []func(context.Context) {
	return []func(context.Context){k.ring.Run, k.owners.Run, k.budget.Run}
}

// keyLimits holds keys to their requests and tokens a minute.
func keyLimits(ring *keys.Ring) *interceptors.Limits {
	return &interceptors.Limits{Per: interceptors.PerKey, QuotaOf: func(id string) (interceptors.Quota, bool) {
		k, ok := ring.Key(id)
		if !ok {
			return interceptors.Quota{}, false
		}
		return interceptors.Quota{Requests: k.RPM, Tokens: k.TPM}, true
	}}
}

// bookKeeper answers from the ledger what keys have spent.
type bookKeeper struct{ view ledger.View }

var (
	_ keys.Books      = bookKeeper{}
	_ keys.Background = bookKeeper{}
)

// Spent implements [keys.Books].
func (b bookKeeper) Spent(ctx context.Context, key string, since time.Time) (spent llmproxy.USD, err error) {
	sums, err := b.view.Sums(ctx, ledger.Filter{Key: key, Since: since}, ledger.ByNothing)
	if err != nil || len(sums) == 0 {
		return 0, err
	}
	return sums[0].Cost, nil
}

// Cost implements [keys.Background].
func (b bookKeeper) Cost(ctx context.Context, id string) (cost llmproxy.USD, known bool, err error) {
	err = b.view.Records(ctx, ledger.Filter{ID: id}, func(r *llmproxy.Record) error {
		cost, known = r.Cost, r.CostState != llmproxy.CostPending
		return nil
	})
	return cost, known, err
}
