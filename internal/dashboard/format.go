package dashboard

import (
	"fmt"
	"html/template"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
)

// What follows writes figures for people. Each is rounded; the exact one stands in a title
// beside it. Money is rounded in integers: it never passes through binary floating point.

// functions are what templates can call.
func (d *Dashboard) functions() template.FuncMap {
	return template.FuncMap{
		"money":    shortMoney,
		"tokens":   shortCount,
		"count":    thousands,
		"duration": shortDuration,
		"exact":    exactTime,
		"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"ago":      func(t time.Time) string { return ago(t, d.o.Now()) },
		"asset":    func(name string) string { return "/static/" + name + "?" + d.hash },
		"short":    shorten,
		"outcomes": outcomeNames,
		"percent":  percent,
		"plural":   plural,
		"next":     func(i int) int { return i + 1 },
	}
}

const (
	dollar = 1_000_000_000_000 // picodollars
	cent   = dollar / 100
)

// shortMoney returns an amount with cents, or below a dollar with hundredths of a cent.
func shortMoney(u llmproxy.USD) string {
	sign, n := "", uint64(u)
	if u < 0 {
		sign, n = "−", -n
	}
	unit, decimals := uint64(cent), 2
	if n < dollar {
		unit, decimals = cent/100, 4
	}
	rounded := (n + unit/2) / unit
	switch {
	case n == 0:
		return "$0"
	case rounded == 0:
		return sign + "<$0.0001"
	}
	digits := fmt.Sprintf("%0*d", decimals+1, rounded)
	whole := digits[:len(digits)-decimals]
	return sign + "$" + grouped(whole) + "." + digits[len(digits)-decimals:]
}

// grouped puts a comma before every three digits.
func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// thousands returns n in full.
func thousands(n int64) string {
	if n < 0 {
		return "−" + grouped(strconv.FormatUint(-uint64(n), 10))
	}
	return grouped(strconv.FormatInt(n, 10))
}

// plural returns n with the word for it.
func plural(n int64, word string) string {
	if n != 1 {
		word += "s"
	}
	return thousands(n) + " " + word
}

// shortCount returns n with three digits or so and a letter: "12.3k".
func shortCount(n int64) string {
	if n < 0 {
		return thousands(n)
	}
	for _, scale := range [...]struct {
		unit   int64
		letter string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		if n < scale.unit {
			continue
		}
		decimals := 2
		for at := n / scale.unit; at >= 10 && decimals > 0; at /= 10 {
			decimals--
		}
		digits := strconv.FormatInt(n%scale.unit+scale.unit, 10)[1 : 1+decimals]
		text := thousands(n / scale.unit)
		if digits = strings.TrimRight(digits, "0"); digits != "" {
			text += "." + digits
		}
		return text + scale.letter
	}
	return strconv.FormatInt(n, 10)
}

// shortDuration returns d as people read it: "812 ms", "3.4 s", "2 min 05 s".
func shortDuration(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 ms"
	case d < time.Millisecond:
		return "<1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%d.%02d s", d/time.Second, d%time.Second/(10*time.Millisecond))
	case d < time.Minute:
		return fmt.Sprintf("%d.%d s", d/time.Second, d%time.Second/(100*time.Millisecond))
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
}

// axisDuration returns d, of which the last figures are zeros or do not matter: "2.5 s".
func axisDuration(d time.Duration) string {
	if d < time.Second {
		return shortDuration(d)
	}
	text := fmt.Sprintf("%d.%02d", d/time.Second, d%time.Second/(10*time.Millisecond))
	return strings.TrimRight(strings.TrimRight(text, "0"), ".") + " s"
}

// exactTime returns t in UTC, to the millisecond.
func exactTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }

// ago returns how long before now t was.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < 0:
		return t.UTC().Format("2006-01-02 15:04")
	case d < 2*time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	case d < 60*24*time.Hour:
		return fmt.Sprintf("%d d ago", d/(24*time.Hour))
	}
	return t.UTC().Format(time.DateOnly)
}

// percent returns part of whole with one decimal: "1.2 %".
func percent(part, whole int64) string {
	tenths, ok := ratio(part, whole, 1000)
	switch {
	case !ok:
		return "–"
	case tenths == 0 && part > 0:
		return "<0.1 %"
	}
	return fmt.Sprintf("%d.%d %%", tenths/10, tenths%10)
}

// ratio returns part × scale / whole, rounded; ok is false where there is no such thing.
// It is exact for any amounts.
func ratio(part, whole, scale int64) (int64, bool) {
	if part < 0 || whole <= 0 || scale < 0 {
		return 0, false
	}
	hi, lo := bits.Mul64(uint64(part), uint64(scale))
	lo, carry := bits.Add64(lo, uint64(whole)/2, 0)
	hi += carry
	if hi >= uint64(whole) {
		return 0, false
	}
	n, _ := bits.Div64(hi, lo, uint64(whole))
	return int64(n), int64(n) >= 0
}

// change says how part differs from before: "+12 %".
func change(now, before int64) string {
	if before <= 0 || now < 0 {
		return ""
	}
	n, ok := ratio(now, before, 100)
	switch {
	case !ok || n > 1000:
		return ">+900 %"
	case n == 100:
		return "±0 %"
	case n > 100:
		return fmt.Sprintf("+%d %%", n-100)
	}
	return fmt.Sprintf("−%d %%", 100-n)
}

// tagText returns tags as people write them.
func tagText(name, value string) string { return strings.TrimSuffix(name+"="+value, "=") }
