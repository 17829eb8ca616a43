package dashboard

import (
	"fmt"
	"time"
)

// timeline is a picture of a connection's turns: one line a lane.
type timeline struct {
	begin, end time.Time
	Lanes      []laneName
	Spans      []span
	Height     int
	Long       time.Duration
}

type laneName struct {
	Name string
	Y    int
}

// span is one turn.
type span struct {
	Class, X, Width, Title, URL string
	Y                           int
	First                       string // the part of it before the first token, as a width
}

const (
	laneHeight = 28 // pixels
	spanHeight = 16
	maxLanes   = 16
)

// timelineOf draws turns. What is on a lane beyond maxLanes is drawn on the last one.
func timelineOf(turns []row) timeline {
	var t timeline
	for i := range turns {
		r := turns[i].Record
		if t.begin.IsZero() || r.Time.Before(t.begin) {
			t.begin = r.Time
		}
		if end := r.Time.Add(r.Duration); end.After(t.end) {
			t.end = end
		}
	}
	t.Long = t.end.Sub(t.begin)
	lanes := map[string]int{}
	for i := len(turns) - 1; i >= 0; i-- {
		r := turns[i].Record
		at, ok := lanes[r.Lane]
		if !ok {
			at = min(len(lanes), maxLanes-1)
			lanes[r.Lane] = at
			if at == len(t.Lanes) {
				name := r.Lane
				if name == "" {
					name = "default"
				}
				t.Lanes = append(t.Lanes, laneName{name, at*laneHeight + laneHeight/2})
			}
		}
		x, _ := ratio(int64(r.Time.Sub(t.begin)), int64(max(t.Long, 1)), whole)
		wide, _ := ratio(int64(r.Duration), int64(max(t.Long, 1)), whole)
		first, _ := ratio(int64(min(r.TTFT, r.Duration)), int64(max(t.Long, 1)), whole)
		t.Spans = append(t.Spans, span{
			Class: turns[i].Tone, X: across(x), Width: across(max(wide, 30)), First: across(first),
			Y: at*laneHeight + (laneHeight-spanHeight)/2, URL: "/exchanges/" + r.ID,
			Title: fmt.Sprintf("turn %d, %s, %s, %s tokens", r.Turn, r.Outcome, shortDuration(r.Duration), thousands(r.Usage.TotalTokens())),
		})
	}
	t.Height = len(t.Lanes) * laneHeight
	return t
}
