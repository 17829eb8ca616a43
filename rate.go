package llmproxy

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Rate is a price in picodollars per token. One microdollar per million tokens is one
// picodollar per token, so a price with up to six decimals per million is exact.
type Rate int64

// ParseRate reads a price in dollars per million tokens ("0.075", "3"). A price that is
// negative, or not a whole number of picodollars per token, is [ErrMoney].
func ParseRate(perMillion string) (Rate, error) {
	digits, exponent, negative, ok := decimal(perMillion)
	if !ok || negative && digits != "" {
		return 0, ErrMoney
	}
	n := uint64(0)
	for i := range len(digits) + max(exponent+6, 0) {
		d := uint64(0)
		if i < len(digits) {
			d = uint64(digits[i] - '0')
		}
		if i >= len(digits)+exponent+6 {
			if d != 0 {
				return 0, ErrMoney
			}
			continue
		}
		hi, lo := bits.Mul64(n, 10)
		sum, carry := bits.Add64(lo, d, 0)
		if hi != 0 || carry != 0 || sum > math.MaxInt64 {
			return 0, ErrMoney
		}
		n = sum
	}
	return Rate(n), nil
}

// Times returns the price of n tokens; [ErrMoney] beyond what a [USD] holds.
func (r Rate) Times(n int64) (USD, error) {
	var s sum
	s.add(n, int64(r))
	return s.times(Ratio{})
}

// String returns the price in dollars per million tokens, in its shortest form: "0.075".
func (r Rate) String() string {
	const million = 1_000_000
	n, sign := uint64(r), ""
	if r < 0 {
		n, sign = -n, "-"
	}
	s := sign + strconv.FormatUint(n/million, 10)
	if rest := n % million; rest > 0 {
		s += "." + strings.TrimRight(strconv.FormatUint(million+rest, 10)[1:], "0")
	}
	return s
}

// Ratio is an exact factor, Num/Den: 11/10 is a surcharge of ten per cent. The zero value
// is 1. Neither part may be negative, and Den is 0 only in the zero value.
type Ratio struct{ Num, Den int64 }

// ParseRatio reads a decimal factor ("1.1"); a negative one, or one of more than fifteen
// digits, is [ErrMoney].
func ParseRatio(text string) (Ratio, error) {
	digits, exponent, negative, ok := decimal(text)
	if !ok || negative && digits != "" || len(digits) > 15 || exponent > 0 && len(digits)+exponent > 15 || exponent < -15 {
		return Ratio{}, ErrMoney
	}
	r := Ratio{0, 1}
	for _, d := range []byte(digits) {
		r.Num = r.Num*10 + int64(d-'0')
	}
	for ; exponent > 0; exponent-- {
		r.Num *= 10
	}
	for ; exponent < 0; exponent++ {
		r.Den *= 10
	}
	return r.reduced(), nil
}

// Times returns r × s; [ErrMoney] where it cannot be held.
func (r Ratio) Times(s Ratio) (Ratio, error) {
	if r == (Ratio{}) {
		return s, nil
	}
	if s == (Ratio{}) {
		return r, nil
	}
	// Crosswise first, so that what can be held is.
	a, b := Ratio{r.Num, s.Den}.reduced(), Ratio{s.Num, r.Den}.reduced()
	numHi, num := bits.Mul64(uint64(a.Num), uint64(b.Num))
	denHi, den := bits.Mul64(uint64(a.Den), uint64(b.Den))
	if numHi != 0 || denHi != 0 || num > math.MaxInt64 || den > math.MaxInt64 {
		return Ratio{}, ErrMoney
	}
	return Ratio{int64(num), int64(den)}, nil
}

// Of returns u × r, rounded once, half to even; [ErrMoney] beyond what a [USD] holds.
func (r Ratio) Of(u USD) (USD, error) {
	var s sum
	s.add(int64(u), 1)
	return s.times(r)
}

// reduced returns r in lowest terms.
func (r Ratio) reduced() Ratio {
	a, b := r.Num, r.Den
	for b != 0 {
		a, b = b, a%b
	}
	if a <= 1 {
		return r
	}
	return Ratio{r.Num / a, r.Den / a}
}

// sum adds up products exactly, in 128 bits. Once it has overflown, or has been given a
// negative part, it has no value.
type sum struct {
	hi, lo uint64
	broken bool
}

// add adds n × each.
func (s *sum) add(n, each int64) {
	if n < 0 || each < 0 {
		s.broken = s.broken || n != 0 && each != 0
		return
	}
	hi, lo := bits.Mul64(uint64(n), uint64(each))
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, carry = bits.Add64(s.hi, hi, carry)
	s.broken = s.broken || carry != 0
}

// times returns the sum × r, rounded half to even.
func (s *sum) times(r Ratio) (USD, error) {
	if r == (Ratio{}) {
		r = Ratio{1, 1}
	}
	if s.broken || r.Num < 0 || r.Den <= 0 {
		return 0, ErrMoney
	}
	// 128 × 63 bits: the product has to fit into 128.
	over, hi := bits.Mul64(s.hi, uint64(r.Num))
	mid, lo := bits.Mul64(s.lo, uint64(r.Num))
	hi, carry := bits.Add64(hi, mid, 0)
	if over != 0 || carry != 0 || hi >= uint64(r.Den) {
		return 0, ErrMoney
	}
	n, rest := bits.Div64(hi, lo, uint64(r.Den))
	half := uint64(r.Den) - rest // what is missing to the next one
	if rest > half || rest == half && n%2 == 1 {
		n++
	}
	if n > math.MaxInt64 {
		return 0, ErrMoney
	}
	return USD(n), nil
}
