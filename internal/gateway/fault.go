package gateway

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one mistake in a configuration. Nothing in it is a secret's value, nor one
// that came from the environment.
type Fault struct {
	File    string // "" where the fault is not in a file
	Line    int    // from 1; 0 where there is none
	Column  int    // in characters, from 1
	Message string // what is wrong, and what to write instead
	Source  string // the key at fault, with its value where that is safe to show; or ""
}

// String returns the fault as "file:line:column: message", and its source on a line of
// its own.
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File + ":")
		if f.Line > 0 {
			fmt.Fprintf(&b, "%d:%d:", f.Line, f.Column)
		}
		b.WriteByte(' ')
	}
	b.WriteString(f.Message)
	if f.Source != "" {
		b.WriteString("\n    " + f.Source)
	}
	return b.String()
}

// Faults are all the mistakes found in one configuration, in the order of the file.
type Faults []Fault

func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns fs in the order of the file.
func (fs Faults) sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return fs
}
