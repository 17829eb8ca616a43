package keys

import (
	"fmt"
	"time"
)

// Period is how long a budget lasts before it begins anew. Days and months are UTC's.
type Period string

// The periods.
const (
	NoPeriod Period = ""      // there is no budget
	PerDay   Period = "day"   //
	PerMonth Period = "month" //
	Total    Period = "total" // it never begins anew
)

// ParsePeriod reads day, month or total.
func ParsePeriod(text string) (Period, error) {
	switch p := Period(text); p {
	case PerDay, PerMonth, Total:
		return p, nil
	}
	return NoPeriod, fmt.Errorf("%q is no period of a budget: want day, month or total", text)
}

// Start returns when the period that t is in began; the zero time for Total.
func (p Period) Start(t time.Time) time.Time {
	t = t.UTC()
	switch p {
	case PerDay:
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	case PerMonth:
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	return time.Time{}
}

// Next returns when the period after the one that t is in begins; the zero time for Total.
func (p Period) Next(t time.Time) time.Time {
	switch start := p.Start(t); p {
	case PerDay:
		return start.AddDate(0, 0, 1)
	case PerMonth:
		return start.AddDate(0, 1, 0)
	}
	return time.Time{}
}
