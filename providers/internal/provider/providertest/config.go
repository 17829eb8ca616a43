package providertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

// Faults checks that a provider does not open with c: the error joins a
// *[setting.FieldError] of that provider for each of want, "field: problem", in any order,
// and does not show the secret. name is what the test calls the case.
func Faults[Config fmt.Stringer](t *testing.T, name string, open func(Config) (*llmproxy.BaseProvider, error), c Config, want []string, secret string) {
	t.Helper()
	p, err := open(c)
	joined, ok := err.(interface{ Unwrap() []error })
	if p != nil || !ok {
		t.Errorf("%s: got %v, %v, want faults", name, p, err)
		return
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("%s: the error shows a secret: %v", name, err)
	}
	provider, _, _ := strings.Cut(c.String(), " (") // the type
	var got []string
	for _, err := range joined.Unwrap() {
		e, ok := errors.AsType[*setting.FieldError](err)
		if !ok {
			t.Errorf("%s: %T, want a *FieldError", name, err)
			continue
		}
		if want := fmt.Sprintf("%s: %s: %s", provider, e.Field, e.Problem); e.Error() != want {
			t.Errorf("%s: got %q, want %q", name, e.Error(), want)
		}
		got = append(got, e.Field+": "+e.Problem)
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n\t%s\nwant\n\t%s", name, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// Hides checks that a configuration and the provider it makes do not show a secret, however
// they are printed, logged or encoded, on their own or inside other values.
func Hides[Config any](t *testing.T, c Config, p *llmproxy.BaseProvider, secrets ...string) {
	t.Helper()
	nested := struct {
		C Config
		P *Config
		M map[string]any
	}{c, &c, map[string]any{"c": c, "p": p, "e": p.Enricher}}
	for name, value := range map[string]any{
		"config": c, "config's address": &c, "list": []Config{c}, "nested": nested,
		"provider": p, "what the provider points to": *p, "enricher": p.Enricher, "URLs": p.URLs,
	} {
		hides(t, name, value, secrets...)
	}
}

// hides checks that a value does not show a secret, however it is printed, logged or
// encoded.
func hides(t *testing.T, name string, value any, secrets ...string) {
	t.Helper()
	check := func(how, text string) {
		t.Helper()
		for _, secret := range secrets {
			if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s, %s shows a secret", name, how)
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		check(verb, fmt.Sprintf(verb, value))
	}
	encoded, _ := json.Marshal(value) // a provider has functions, which JSON refuses
	check("as JSON", string(encoded))
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", value)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", value)
	check("in a log", b.String())
}
