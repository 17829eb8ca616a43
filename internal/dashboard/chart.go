package dashboard

import (
	"fmt"
	"time"
)

// chart is a picture of figures over time: what its template draws. Everything across is
// in per cent of the width, so that letters and lines keep their size on any screen;
// everything down is in pixels from the top.
type chart struct {
	ID, Title, Note string
	Legend          []legend
	Scale           []string // the labels of the lines across, the top one first
	Grid            []int
	Ticks           []tick
	Bars            []bar
	Lines           []line
	Dots            []dot
	Columns         []column // what a pointer finds, and the table beside the picture
	Empty           bool
	Label           string // the picture in words
}

type legend struct {
	Class, Name, Total, Exact, URL string
}

type tick struct {
	X     string
	Text  string
	Minor bool // may be left out where there is no room
}

type bar struct {
	Class, X, Width string
	Y, Height       int
}

type line struct {
	Class, X1, X2 string
	Y1, Y2        int
}

type dot struct {
	Class, X string
	Y        int
}

// column is one step of time.
type column struct {
	X, Width string
	When     string
	Cells    []string // as in the legend
}

// series are the figures of one name, one for each step; negative is none.
type series struct {
	class, name, total, exact, url string
	values                         []int64
}

const (
	plotHeight = 168 // pixels
	plotTop    = 8   // above the highest line
	plotLines  = 4   // across, above the base
)

// whole is the width of a chart, in hundredths of a per cent.
const whole = 10_000

// across writes a part of the width as per cent.
func across(n int64) string { return fmt.Sprintf("%d.%02d%%", n/100, n%100) }

// newChart begins a chart of w with what all kinds have: the scale up to most, the ticks,
// and the columns.
func newChart(id, title string, w window, all []series, most int64, write func(int64) string) chart {
	c := chart{ID: id, Title: title, Empty: most <= 0}
	for _, s := range all {
		c.Legend = append(c.Legend, legend{s.class, s.name, s.total, s.exact, s.url})
	}
	if c.Empty {
		return c
	}
	step := niceStep(most)
	for i := range plotLines + 1 {
		c.Scale = append(c.Scale, write(step*int64(plotLines-i)))
		c.Grid = append(c.Grid, plotTop+(plotHeight-plotTop)*i/plotLines)
	}
	n := int64(w.steps)
	for i := range w.steps {
		col := column{X: across(whole * int64(i) / n), Width: across(whole/n + 1), When: stepName(w, i)}
		for _, s := range all {
			text := "–"
			if s.values[i] >= 0 {
				text = write(s.values[i])
			}
			col.Cells = append(col.Cells, text)
		}
		c.Columns = append(c.Columns, col)
	}
	c.Ticks = ticksOf(w)
	return c
}

// bars draws the series on top of each other.
func bars(id, title string, w window, all []series, write func(int64) string) chart {
	most := int64(0)
	for i := range w.steps {
		sum := int64(0)
		for _, s := range all {
			sum += max(s.values[i], 0)
		}
		most = max(most, sum)
	}
	c := newChart(id, title, w, all, most, write)
	if c.Empty {
		return c
	}
	top := niceStep(most) * plotLines
	n := int64(w.steps)
	for i := range w.steps {
		below, sum := plotHeight, int64(0)
		for _, s := range all {
			if s.values[i] <= 0 {
				continue
			}
			sum += s.values[i]
			y := height(sum, top)
			if y >= below && s.class == "bad" {
				y = below - 1 // however few: errors are to be seen
			}
			if y >= below {
				continue
			}
			c.Bars = append(c.Bars, bar{
				Class: s.class, X: across((whole*int64(i) + whole*14/100) / n), Width: across(whole * 72 / 100 / n), Y: y, Height: below - y,
			})
			below = y
		}
	}
	return c
}

// lines draws the series beside each other. Steps without a value leave a gap.
func lines(id, title string, w window, all []series, write func(int64) string) chart {
	most := int64(0)
	for _, s := range all {
		for _, v := range s.values {
			most = max(most, v)
		}
	}
	c := newChart(id, title, w, all, most, write)
	if c.Empty {
		return c
	}
	top := niceStep(most) * plotLines
	middle := func(i int) string { return across((2*whole*int64(i) + whole) / (2 * int64(w.steps))) }
	for _, s := range all {
		for i, v := range s.values {
			if v < 0 {
				continue
			}
			c.Dots = append(c.Dots, dot{s.class, middle(i), height(v, top)})
			if i > 0 && s.values[i-1] >= 0 {
				c.Lines = append(c.Lines, line{s.class, middle(i - 1), middle(i), height(s.values[i-1], top), height(v, top)})
			}
		}
	}
	return c
}

// height returns where v is drawn on a scale that ends with top.
func height(v, top int64) int {
	up, ok := ratio(v, top, plotHeight-plotTop)
	if !ok {
		return plotHeight
	}
	return plotHeight - int(up)
}

// niceStep returns the least round number of which plotLines reach most.
func niceStep(most int64) int64 {
	need := max((most+plotLines-1)/plotLines, 1)
	for unit := int64(1); unit < 1e17; unit *= 10 {
		for _, tenths := range [...]int64{10, 15, 20, 25, 30, 40, 50, 60, 80, 100} {
			if step := unit * tenths / 10; step >= need && step*10 == unit*tenths {
				return step
			}
		}
	}
	return need
}

// stepName says when a step of w is.
func stepName(w window, i int) string {
	from := w.start(i)
	if w.step >= 24*time.Hour {
		return from.Format("Mon 2 Jan")
	}
	return from.Format("Mon 2 Jan 15:04") + "–" + from.Add(w.step).Format("15:04") + " UTC"
}

// ticksOf are the times below a chart: on round ones.
func ticksOf(w window) (ticks []tick) {
	every, layout := 15*time.Minute, "15:04"
	switch w.name {
	case lastDay:
		every = 3 * time.Hour
	case lastWeek:
		every, layout = 24*time.Hour, "2 Jan"
	case lastMonth:
		every, layout = 5*24*time.Hour, "2 Jan"
	}
	long := int64(w.start(w.steps).Sub(w.first))
	t := w.first.Truncate(every)
	for n := 0; !t.After(w.start(w.steps)); t = t.Add(every) {
		x, ok := ratio(int64(t.Sub(w.first)), long, whole)
		if t.Before(w.first) || !ok || x < 200 || x > 9800 { // its text would be cut
			continue
		}
		ticks = append(ticks, tick{X: across(x), Text: t.Format(layout), Minor: n%2 == 1})
		n++
	}
	return ticks
}
