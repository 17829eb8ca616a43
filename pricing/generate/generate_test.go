package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy/pricing"
)

func TestLiteral(t *testing.T) {
	t.Parallel()
	const src = "{ a: [1, .5, 2e5, -3,], \"b c\": !0, $d_1: !1, e: null, f: void 0,\n g: 'it\\'s \\u00e9', h: `two\nlines`, i: {} } rest"
	value, rest, err := literal([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	want := object{
		"a": array{number("1"), number("0.5"), number("2e5"), number("-3")}, "b c": true, "$d_1": false, "e": nil, "f": nil,
		"g": "it's é", "h": "two\nlines", "i": object{},
	}
	if diff := cmp.Diff(any(want), value); diff != "" || string(rest) != " rest" {
		t.Errorf("rest %q, -want +got\n%s", rest, diff)
	}
	for _, bad := range []string{
		``, `{`, `[`, `{a}`, `{a:1 b:2}`, `[1 2]`, `"`, "`${x}`", `f()`, `{:1}`, strings.Repeat("[", 100),
	} {
		if v, _, err := literal([]byte(bad)); err == nil {
			t.Errorf("%q is %v", bad, v)
		}
	}
}

// What is read is read to its end, and never beyond.
func FuzzLiteral(f *testing.F) {
	f.Add([]byte("{a:[1,'x',!0]} tail"))
	f.Add([]byte("`\\u0041`"))
	f.Fuzz(func(t *testing.T, src []byte) {
		value, rest, err := literal(src)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(src, rest) || len(rest) == len(src) {
			t.Fatalf("%q leaves %q", src, rest)
		}
		again, left, err := literal(src[:len(src)-len(rest)])
		if err != nil || len(left) != 0 || !cmp.Equal(value, again) {
			t.Errorf("%q alone is %v, %q, %v", src[:len(src)-len(rest)], again, left, err)
		}
	})
}

// firstList is a bundle of the first list's shape.
const firstList = `const E = [
  {
    id: "openai",
    name: "OpenAI",
    models: [
      { id: "agreed", match: { or: [{ equals: "agreed" }, { starts_with: "agreed-2026-" }, { equals: "agreed-x" }] },
        prices: { input_mtok: { base: 2, tiers: [{ start: 271999, price: 4 }] }, output_mtok: { base: 8, tiers: [{ start: 271999, price: 12 }] }, web_searches_kcount: 10 } },
      { id: "dated", match: { equals: "dated" }, prices: [
        { prices: { input_mtok: 9, output_mtok: 9 } },
        { constraint: { start_date: "2026-03-01", type: "start_date" }, prices: { input_mtok: 1, output_mtok: 2 } } ] },
      { id: "disputed", match: { equals: "disputed" }, prices: { input_mtok: 1, output_mtok: 2, input_audio_mtok: 7 } },
      { id: "hours-only", match: { equals: "hours-only" }, prices: { audio_hours: 1 } }
    ]
  },
  { id: "x-ai", models: [{ id: "grok", match: { equals: "grok" }, prices: { input_mtok: { base: 1, tiers: [{ start: 199999, price: 2 }] }, output_mtok: 3 } }] },
  { id: "nobody", models: [{ id: "other", match: { equals: "other" }, prices: { input_mtok: 1, output_mtok: 2 } }] }
];
export { E };
`

const secondList = `{"openai-responses":{
 "chat:agreed":{"id":"agreed","cost":{"input":2,"output":8,"cacheRead":0.2,"cacheWrite":0,"tiers":[{"inputTokensAbove":272000,"input":4,"output":12,"cacheRead":0.4,"cacheWrite":0}]}},
 "chat:agreed-2026-05-05":{"id":"agreed-2026-05-05","cost":{"input":2,"output":8,"cacheRead":0.2,"cacheWrite":0,"tiers":[{"inputTokensAbove":272000,"input":4,"output":12,"cacheRead":0.4,"cacheWrite":0}]}},
 "chat:dated":{"id":"dated","cost":{"input":1,"output":2,"cacheRead":0,"cacheWrite":0}},
 "chat:disputed":{"id":"disputed","cost":{"input":3,"output":4,"cacheRead":0,"cacheWrite":0}},
 "chat:fresh":{"id":"fresh","cost":{"input":0.05,"output":0.4,"cacheRead":0,"cacheWrite":0}},
 "chat:gratis":{"id":"gratis","cost":{"input":0,"output":0,"cacheRead":0,"cacheWrite":0}},
 "classifier:fresh":{"id":"fresh","cost":{"input":7,"output":7,"cacheRead":0,"cacheWrite":0}}}}`

// npmPackage writes a package as npm pack does.
func npmPackage(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	files["package/package.json"] = `{"name":"` + name + `","version":"1.2.3"}`
	for file, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+".tgz")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// merged reads the two lists and merges them.
func merged(t *testing.T, decisions string) (prices []string, log string, m *merger, err error) {
	t.Helper()
	a, noteA, err := load(npmPackage(t, "first", map[string]string{"package/dist/index.js": firstList}), "package/dist/index.js", genaiPrices)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := load(npmPackage(t, "second", map[string]string{"package/dist/providers/data/openai.json": secondList}), "package/dist/providers/data/", modelPrices)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(noteA, "npm first 1.2.3, sha256 ") || a.skipped != 1 || b.skipped != 1 {
		t.Errorf("%s, %d and %d skipped", noteA, a.skipped, b.skipped)
	}
	decided, err := parseDecisions(decisions)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	at, err := parseDay("2026-11-25")
	if err != nil {
		t.Fatal(err)
	}
	m = &merger{at: at, decided: decided, log: &out}
	l := m.merge(a, b)
	for i := range l.Prices {
		prices = append(prices, l.Prices[i].Family+" "+l.Prices[i].String())
	}
	return prices, out.String(), m, decided.used()
}

func TestListsAreMerged(t *testing.T) {
	t.Parallel()
	got, log, m, err := merged(t, `
take openai disputed models -- it is newer
factor openai flex 1/2 agreed* -- half
set openai dated web_search=0.01 -- by the call
alias openai fresh fresher -- another name
price openai listed input=1 output=1 -- not in either
`)
	if err != nil {
		t.Error(err)
	}
	want := []string{
		"openai agreed alias=agreed-x input=2 cache_read=0.2 output=8 web_search=0.01 @>=272001 input=4 cache_read=0.4 output=12 *flex=1/2",
		"openai dated until=2026-03-01 input=9 output=9 web_search=0.01",
		"openai dated from=2026-03-01 input=1 output=2 web_search=0.01",
		"openai disputed input=3 input_audio=7 output=4",
		"openai fresh alias=fresher input=0.05 output=0.4",
		"openai listed input=1 output=1",
		"xai grok input=1 output=3 @>=200000 input=2 output=3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if log != "openai disputed (disputed): input 1, or 3; output 2, or 4: models: it is newer\n" {
		t.Errorf("log: %s", log)
	}
	if m.both != 3 || m.differ != 1 || m.first != 1 || m.second != 1 || m.undecided != 0 {
		t.Errorf("%+v", m)
	}
}

func TestWhatIsNotDecidedIsSaid(t *testing.T) {
	t.Parallel()
	_, log, m, err := merged(t, "")
	if err != nil || m.undecided != 1 || log != "openai disputed (disputed): input 1, or 3; output 2, or 4: NOT DECIDED\n" {
		t.Errorf("%v, %d undecided: %s", err, m.undecided, log)
	}
	// A decision that nothing needs is out of date.
	_, _, _, err = merged(t, "take openai disputed genai -- so be it\ntake openai agreed genai -- they agree\n")
	if err == nil || err.Error() != "decisions.txt: line 2: the lists do not differ on openai agreed" {
		t.Error(err)
	}
	_, _, _, err = merged(t, "prefer openai genai -- so be it\ndrop openai nothing* -- so be it\n")
	if err == nil || err.Error() != "decisions.txt: line 2: no model is meant by nothing*" {
		t.Error(err)
	}
	for _, bad := range []string{
		"take openai x genai", "take openai x neither -- why", "guess openai x -- why", "take -- why",
		"factor openai flex half x -- why", "price openai x input=y -- why",
	} {
		if _, err := parseDecisions(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// The decisions of the repository are those that the embedded list was made by: each
// line of the list that one makes is in it, and reads as it does there.
func TestTheEmbeddedListFollowsTheDecisions(t *testing.T) {
	t.Parallel()
	decided, err := parseDecisions(decisionText)
	if err != nil {
		t.Fatal(err)
	}
	l, err := pricing.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	byFamily := map[string][]pricing.Price{}
	for _, p := range l.Prices {
		byFamily[p.Family] = append(byFamily[p.Family], p)
	}
	for family, prices := range byFamily {
		again, err := decided.apply(family, strip(prices))
		if err != nil {
			t.Fatal(err)
		}
		a := pricing.List{Prices: prices}
		b := pricing.List{Prices: again}
		if diff := cmp.Diff(a.Text(), b.Text()); diff != "" {
			t.Errorf("%s: -list +decided\n%s", family, diff)
		}
	}
}

// strip returns prices without what decisions add a second time.
func strip(prices []pricing.Price) []pricing.Price {
	out := make([]pricing.Price, len(prices))
	for i, p := range prices {
		p.Factors = nil
		out[i] = p
	}
	return out
}
