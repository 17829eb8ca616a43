package pricing_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

// From a price in text to a cost nothing is a binary floating-point number.
// BerriAI/litellm#8867 and mozilla-ai/otari#691 had costs such as 0.0016150000000000001,
// and a budget that was not spent but refused.
func TestNoFloats(t *testing.T) {
	t.Parallel()
	files := []string{"../money.go", "../rate.go", "../billing.go", "../usage.go"}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 15 {
		t.Errorf("only %d files", len(files))
	}
	for _, name := range files {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if strings.Contains(strings.ToLower(n.Name), "float") {
					t.Errorf("%s: %s", fset.Position(n.Pos()), n.Name)
				}
			case *ast.BasicLit:
				if n.Kind == token.FLOAT || n.Kind == token.STRING && strings.Contains(n.Value, "%f") || n.Kind == token.STRING && strings.Contains(n.Value, "%g") {
					t.Errorf("%s: %s", fset.Position(n.Pos()), n.Value)
				}
			}
			return true
		})
	}
}

// decimalPrice returns a price below ten thousand with up to six decimals.
func decimalPrice(r *rand.Rand) string {
	text := strconv.Itoa(r.IntN(10_000))
	if decimals := r.IntN(7); decimals > 0 {
		text += "."
		for range decimals {
			text += strconv.Itoa(r.IntN(10))
		}
	}
	return text
}

// Tokens × prices × factor is what arbitrary precision says it is, rounded once.
func TestCostIsExact(t *testing.T) {
	t.Parallel()
	names := []string{"input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "web_search", "request"}
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 0))
		row := map[string]string{}
		prices := map[string]*big.Rat{}
		for _, name := range names {
			row[name] = decimalPrice(r)
			prices[name], _ = new(big.Rat).SetString(row[name])
		}
		num, den := 1+r.Int64N(1000), 300+r.Int64N(700)
		n := map[string]int64{}
		for _, name := range names[:6] {
			n[name] = r.Int64N(3_000_000 >> r.IntN(22))
		}
		n["web_search"], n["request"] = r.Int64N(50), 1
		u := llmproxy.Usage{
			PromptTokens: n["input"] + n["cache_read"] + n["cache_write"] + n["cache_write_1h"],
			CacheRead:    n["cache_read"], CacheWrite: n["cache_write"], CacheWrite1h: n["cache_write_1h"],
			CompletionTokens: n["output"] + n["reasoning"], Reasoning: n["reasoning"], WebSearches: n["web_search"],
		}
		c := ownPrice(t, row)
		c.Multiplier = llmproxy.Ratio{Num: num, Den: den}
		got, err := c.Cost(u)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}

		perToken := big.NewRat(1_000_000, 1) // picodollars, of a dollar per million
		sum := new(big.Rat)
		for _, name := range names[:6] {
			one := new(big.Rat).Mul(prices[name], perToken)
			sum.Add(sum, one.Mul(one, new(big.Rat).SetInt64(n[name])))
		}
		sum.Mul(sum, big.NewRat(num, den))
		want := halfEven(sum)
		for _, name := range names[6:] {
			call := new(big.Rat).Mul(prices[name], big.NewRat(1_000_000_000_000, 1))
			call.Mul(call, new(big.Rat).SetInt64(n[name]))
			want.Add(want, call.Num()) // whole: six decimals at most
		}
		if want.Cmp(big.NewInt(int64(got))) != 0 {
			t.Fatalf("seed %d: %d picodollars, want %s", seed, got, want)
		}
	}
}

// halfEven returns r rounded to a whole number.
func halfEven(r *big.Rat) *big.Int {
	q, rest := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	switch rest.Lsh(rest, 1).Cmp(r.Denom()) {
	case 1:
		q.Add(q, big.NewInt(1))
	case 0:
		q.Add(q, new(big.Int).SetUint64(uint64(q.Bit(0))))
	}
	return q
}

// However a usage is cut into exchanges, the sum of what they cost is the same, as long
// as nothing has to be rounded.
func TestSumsDoNotDependOnTheirOrder(t *testing.T) {
	t.Parallel()
	c := ownPrice(t, map[string]string{"input": "0.0028", "output": "0.1"})
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 1))
		parts := make([]int64, 1+r.IntN(20))
		for i := range parts {
			parts[i] = r.Int64N(1_000_000)
		}
		var whole llmproxy.Usage
		var forth, back llmproxy.USD
		for i := range parts {
			whole.PromptTokens += parts[i]
			a, errA := c.Cost(llmproxy.Usage{PromptTokens: parts[i]})
			b, errB := c.Cost(llmproxy.Usage{PromptTokens: parts[len(parts)-1-i]})
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			forth, back = forth+a, back+b
		}
		total, err := c.Cost(whole)
		if err != nil || forth != total || back != total {
			t.Fatalf("seed %d: %s and %s, of %s", seed, forth, back, total)
		}
	}
}

func TestPublishedFiguresAreRoundedOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"0.049999999999999996", "0.05"},
		{"0.08333333333333334", "0.083333"},
		{"0.0000005", "0"}, // half, to even
		{"0.0000015", "0.000002"},
		{"3e-1", "0.3"},
		{"600", "600"},
	} {
		var r pricing.Rates
		if err := r.SetRounded(pricing.Input, tt.in); err != nil {
			t.Error(err)
		}
		for _, text := range r.All() {
			if text != tt.want {
				t.Errorf("%s: %s, want %s", tt.in, text, tt.want)
			}
		}
	}
	var r pricing.Rates
	for _, bad := range []string{"", "-1", "NaN", "1e999", "10000000"} {
		if err := r.SetRounded(pricing.Input, bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
