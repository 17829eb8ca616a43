package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/keys"
)

// Keys changes and shows the gateway keys in the ledger's database.
type Keys struct {
	Source Source
	Stdout io.Writer
	Stderr io.Writer // for what is not to be in $(…)
}

// NewKey says what a key is to be like; its texts are those of the command line.
type NewKey struct {
	Name      string
	Budget    string // dollars; "" is none
	Per       string // day, month or total
	RPM, TPM  int64
	Models    []string
	Providers []string
	Expires   string // how long it is valid ("30d"), or a time; "" is for ever
	Tags      []string
	Unmetered bool
	JSON      bool
}

// open returns the store of the keys.
func (k Keys) open(ctx context.Context) (keyStore, error) {
	c, err := k.Source.LoadAny()
	if err != nil {
		return nil, err
	}
	if c.Ledger.URL == noLedger {
		return nil, fmt.Errorf("%w: ledger.url is none, and keys are kept there", ErrNoLedger)
	}
	store, err := openKeys(ctx, c.Ledger.URL)
	if err != nil {
		return nil, fmt.Errorf("the keys: %w", err)
	}
	return store, nil
}

// key returns n as the package keys wants it.
func (n NewKey) key(now time.Time) (key keys.Key, err error) {
	key = keys.Key{Name: n.Name, Models: n.Models, Providers: n.Providers, RPM: n.RPM, TPM: n.TPM, Unmetered: n.Unmetered}
	if n.Budget != "" {
		if key.Budget, err = llmproxy.ParseUSD(n.Budget); err != nil || key.Budget < 0 {
			return key, fmt.Errorf("--budget: %q is no amount in dollars: write one such as 5.00", n.Budget)
		}
		if key.Per, err = keys.ParsePeriod(cmp.Or(n.Per, "total")); err != nil {
			return key, fmt.Errorf("--per: %w", err)
		}
	} else if n.Per != "" {
		return key, errors.New("--per: there is no --budget")
	}
	if n.Expires != "" {
		if key.Expires, err = parseExpiry(n.Expires, now); err != nil {
			return key, fmt.Errorf("--expires: %w", err)
		}
	}
	for _, tag := range n.Tags {
		name, value, ok := strings.Cut(tag, "=")
		if !ok || name == "" {
			return key, fmt.Errorf("--tag: %q is no tag: write NAME=VALUE", tag)
		}
		if key.Tags == nil {
			key.Tags = map[string]string{}
		}
		key.Tags[name] = value
	}
	return key, nil
}

// parseExpiry reads a time to come: after that long, or a date or time in UTC.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 100_000 {
			return now.AddDate(0, 0, n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time to come: write one such as 12h, 30d or 2027-01-01", text)
}

// keyJSON is a key as it is shown: without its secret, unless it has just been made.
type keyJSON struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Secret    string            `json:"secret,omitempty"`
	Created   time.Time         `json:"created"`
	Expires   *time.Time        `json:"expires,omitempty"`
	Revoked   *time.Time        `json:"revoked,omitempty"`
	BudgetUSD string            `json:"budget_usd,omitempty"`
	Per       string            `json:"per,omitempty"`
	RPM       int64             `json:"rpm,omitempty"`
	TPM       int64             `json:"tpm,omitempty"`
	Models    []string          `json:"models,omitempty"`
	Providers []string          `json:"providers,omitempty"`
	Tags      map[string]string `json:"tags,omitempty"`
	Unmetered bool              `json:"unmetered,omitempty"`
}

func shownKey(k keys.Key) keyJSON {
	j := keyJSON{
		ID: k.ID, Name: k.Name, Created: k.Created, RPM: k.RPM, TPM: k.TPM, Models: k.Models, Providers: k.Providers,
		Tags: k.Tags, Unmetered: k.Unmetered,
	}
	if k.Per != "" {
		j.BudgetUSD, j.Per = k.Budget.String(), string(k.Per)
	}
	if !k.Expires.IsZero() {
		j.Expires = &k.Expires
	}
	if !k.Revoked.IsZero() {
		j.Revoked = &k.Revoked
	}
	return j
}

// Create makes a key and shows its secret, which is kept nowhere: alone on standard
// output, or in JSON.
func (k Keys) Create(ctx context.Context, n NewKey) error {
	now := time.Now()
	wanted, err := n.key(now)
	if err != nil {
		return err
	}
	made, secret, err := keys.New(wanted, now)
	if err != nil {
		return err
	}
	store, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Create(ctx, made); err != nil {
		return err
	}
	if n.JSON {
		j := shownKey(made)
		j.Secret = string(secret)
		return json.NewEncoder(k.Stdout).Encode(j)
	}
	fmt.Fprintf(k.Stderr, "The key %s (%s) is made. This is its secret; it is not shown again:\n", made.ID, made.Name)
	_, err = fmt.Fprintln(k.Stdout, string(secret))
	return err
}

// List shows the keys, the oldest first.
func (k Keys) List(ctx context.Context, asJSON bool) error {
	store, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	list, err := store.List(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		shown := []keyJSON{}
		for _, key := range list {
			shown = append(shown, shownKey(key))
		}
		e := json.NewEncoder(k.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(shown)
	}
	w := tabwriter.NewWriter(k.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tCREATED\tSTATE\tBUDGET USD\tRPM\tTPM\tMODELS\tTAGS")
	now := time.Now()
	for _, key := range list {
		budget := "-"
		if key.Per != "" {
			budget = key.Budget.String() + " per " + string(key.Per)
			if key.Per == "total" {
				budget = key.Budget.String() + " in all"
			}
		}
		var tags []string
		for _, name := range slices.Sorted(maps.Keys(key.Tags)) {
			tags = append(tags, name+"="+key.Tags[name])
		}
		limit := func(n int64) string {
			if n == 0 {
				return "-"
			}
			return strconv.FormatInt(n, 10)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key.ID, key.Name, key.Created.UTC().Format("2006-01-02 15:04"), stateOf(key, now), budget,
			limit(key.RPM), limit(key.TPM), cmp.Or(strings.Join(key.Models, ","), "all"), cmp.Or(strings.Join(tags, ","), "-"))
	}
	return w.Flush()
}

func stateOf(k keys.Key, now time.Time) string {
	switch {
	case !k.Revoked.IsZero() && !k.Revoked.After(now):
		return "revoked"
	case !k.Expires.IsZero() && !k.Expires.After(now):
		return "expired"
	case !k.Expires.IsZero():
		return "until " + k.Expires.UTC().Format("2006-01-02")
	}
	return "valid"
}

// Revoke makes a key invalid. A running gateway knows of it within a second.
func (k Keys) Revoke(ctx context.Context, id string) error {
	store, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Revoke(ctx, id, time.Now()); err != nil {
		if errors.Is(err, keys.ErrNotFound) {
			return fmt.Errorf("%w: %s; llmproxy keys list shows them", keys.ErrNotFound, id)
		}
		return err
	}
	_, err = fmt.Fprintf(k.Stdout, "%s is revoked\n", id)
	return err
}
