package keys

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/llmproxy/llmproxy"
)

// Key is one gateway key. Times are in whole milliseconds, UTC. Once created, only Revoked
// changes.
type Key struct {
	ID      string // "key_…"; public
	Name    string // the operator's, need not be unique
	Hash    Hash   // of its secret
	Created time.Time
	Expires time.Time // the first moment at which it is no longer valid; zero: never
	Revoked time.Time // zero: it is not

	// Models and Providers are patterns, in which * stands for any characters, of what the
	// key may be used for; none means all. A pattern of Models with a slash is for a
	// provider and its model ("openai/gpt-5*").
	Models    []string
	Providers []string

	// Tags go on each record, over those the request gives.
	Tags map[string]string

	RPM int64 // requests a minute; 0 means no limit
	TPM int64 // tokens a minute; 0 means no limit

	// Budget is what may be spent per Per. Without a period there is no budget; a budget of
	// 0 lets nothing through that costs something.
	Budget llmproxy.USD
	Per    Period

	// Unmetered lets a key that has a budget or a list of models use endpoints whose use
	// the gateway cannot meter.
	Unmetered bool
}

// MaxBudget bounds budgets, so that what is spent and held of one can always be added up.
const MaxBudget llmproxy.USD = 1_000_000 * 1_000_000_000_000

// New returns k, of which all that is the caller's to choose is set, with an ID, a creation
// time and a new secret. The error says what is wrong with k.
func New(k Key, now time.Time) (Key, Secret, error) {
	secret := NewSecret()
	k.ID = "key_" + strings.ToLower(rand.Text()[:16]) // 80 bits
	k.Hash = secret.Hash()
	k.Created, k.Expires, k.Revoked = millis(now), millis(k.Expires), time.Time{}
	if err := k.Check(); err != nil {
		return Key{}, "", err
	}
	if !k.Expires.IsZero() && !k.Expires.After(k.Created) {
		return Key{}, "", errors.New("the key would have expired already")
	}
	return k, secret, nil
}

// millis returns t as stores keep it.
func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// Check returns what is wrong with k, nil if nothing is.
func (k *Key) Check() error {
	const longest, most = 128, 256
	switch {
	case k.Name == "":
		return errors.New("a key needs a name")
	case !printable(k.Name) || len(k.Name) > longest:
		return fmt.Errorf("the name of a key is at most %d bytes of printable text", longest)
	case len(k.Models) > most || len(k.Providers) > most:
		return fmt.Errorf("a key has at most %d patterns of models, and of providers", most)
	case len(k.Tags) > 16:
		return errors.New("a key has at most 16 tags")
	case k.RPM < 0 || k.TPM < 0:
		return errors.New("a limit of requests or tokens is not negative")
	case k.Budget < 0 || k.Budget > MaxBudget:
		return fmt.Errorf("a budget is between $0 and $%s", MaxBudget)
	case k.Per == NoPeriod && k.Budget != 0:
		return errors.New("a budget needs a period: day, month or total")
	}
	if k.Per != NoPeriod {
		if _, err := ParsePeriod(string(k.Per)); err != nil {
			return err
		}
	}
	for _, list := range [...][]string{k.Models, k.Providers} {
		for _, pattern := range list {
			if pattern == "" || !printable(pattern) || len(pattern) > longest || strings.Count(pattern, "*") > 8 {
				return fmt.Errorf("%q is no pattern: want at most %d bytes, and eight asterisks", pattern, longest)
			}
		}
	}
	for name, value := range k.Tags {
		// What X-Gateway-Tags can say, and no more.
		if name == "" || len(name) > 64 || len(value) > 64 || !printable(name) || !printable(value) || strings.ContainsAny(name, ",=") || strings.Contains(value, ",") {
			return fmt.Errorf("%q is no tag: want name=value, each at most 64 bytes, without commas", name+"="+value)
		}
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// Valid reports whether k is neither expired nor revoked at t.
func (k *Key) Valid(t time.Time) bool {
	return k.Revoked.IsZero() && (k.Expires.IsZero() || t.Before(k.Expires))
}

// Budgeted reports whether k has a budget.
func (k *Key) Budgeted() bool { return k.Per != NoPeriod }

// restricted reports whether what k is used for has to be known.
func (k *Key) restricted() bool { return k.Budgeted() || len(k.Models) > 0 }

// keyJSON is a key as it is shown and stored: without its hash.
type keyJSON struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Created   time.Time         `json:"created"`
	Expires   time.Time         `json:"expires,omitzero"`
	Revoked   time.Time         `json:"revoked,omitzero"`
	Models    []string          `json:"models,omitempty"`
	Providers []string          `json:"providers,omitempty"`
	Tags      map[string]string `json:"tags,omitempty"`
	RPM       int64             `json:"rpm,omitempty"`
	TPM       int64             `json:"tpm,omitempty"`
	Budget    string            `json:"budget_usd,omitempty"`
	Per       Period            `json:"per,omitempty"`
	Unmetered bool              `json:"unmetered,omitempty"`
}

// MarshalJSON encodes k without its hash; the budget is a decimal number of dollars, in
// quotes.
func (k Key) MarshalJSON() ([]byte, error) {
	j := keyJSON{
		ID: k.ID, Name: k.Name, Created: k.Created, Expires: k.Expires, Revoked: k.Revoked,
		Models: k.Models, Providers: k.Providers, Tags: k.Tags, RPM: k.RPM, TPM: k.TPM,
		Per: k.Per, Unmetered: k.Unmetered,
	}
	if k.Budgeted() {
		j.Budget = k.Budget.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON decodes what MarshalJSON encodes. The hash stays as it is.
func (k *Key) UnmarshalJSON(text []byte) error {
	var j keyJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	budget := llmproxy.USD(0)
	if j.Budget != "" {
		var err error
		if budget, err = llmproxy.ParseUSD(j.Budget); err != nil {
			return fmt.Errorf("budget_usd: %w", err)
		}
	}
	*k = Key{
		ID: j.ID, Name: j.Name, Hash: k.Hash, Created: j.Created.UTC(), Expires: j.Expires.UTC(), Revoked: j.Revoked.UTC(),
		Models: j.Models, Providers: j.Providers, Tags: j.Tags, RPM: j.RPM, TPM: j.TPM,
		Budget: budget, Per: j.Per, Unmetered: j.Unmetered,
	}
	return nil
}

// Clone returns a copy of k that shares nothing with it.
func (k *Key) Clone() Key {
	c := *k
	c.Models = append([]string(nil), k.Models...)
	c.Providers = append([]string(nil), k.Providers...)
	if k.Tags != nil {
		c.Tags = make(map[string]string, len(k.Tags))
		for name, value := range k.Tags {
			c.Tags[name] = value
		}
	}
	return c
}
