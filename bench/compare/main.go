// Command compare makes the calls of each case on each target in turn, several rounds in
// one process, and prints what a call costs: medians, and the gateway's share as a ratio
// to that of the reverse proxy. What else the machine does meanwhile hits all alike.
//
//	go run ./bench/compare [-rounds 5] [-time 300ms] [-case sse]
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/llmproxy/llmproxy/bench"
)

func main() {
	rounds := flag.Int("rounds", 5, "how often each case is run on each target")
	length := flag.Duration("time", 300*time.Millisecond, "how long a run takes, about")
	cases := flag.String("case", "", "regular expression of the cases to run; idle is one")
	flag.Parse()
	pattern, err := regexp.Compile(*cases)
	if err == nil {
		err = compare(os.Stdout, *rounds, *length, pattern)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// The reference comes right after what is taken off all others.
var targets = []bench.Target{bench.Direct, bench.ReverseProxy, bench.Gateway, bench.LoggingGateway}

const (
	direct    = 0
	reference = 1
)

func compare(w io.Writer, rounds int, length time.Duration, pattern *regexp.Regexp) error {
	fmt.Fprintf(w, "%s %s/%s, %d rounds of %v\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, rounds, length)
	fmt.Fprintf(w, layout, "case", "target", "wall µs", "CPU µs", "net µs", "ratio", "µs/event", "B", "allocs")
	for _, c := range bench.Cases() {
		if !pattern.MatchString(c.Name) {
			continue
		}
		if err := run(w, c, rounds, length); err != nil {
			return err
		}
	}
	if !pattern.MatchString("idle") {
		return nil
	}
	fmt.Fprintf(w, "\nheap and stacks of %d idle streams\n\n", bench.Idle().Clients)
	return idle(w, rounds)
}

// run prints the rows of c.
func run(w io.Writer, c bench.Case, rounds int, length time.Duration) (err error) {
	loads := make([]*bench.Load, len(targets))
	for i, target := range targets {
		u, err := bench.NewUpstream()
		if err != nil {
			return err
		}
		defer u.Close()
		r, e := target.Start(u)
		if e != nil {
			return e
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		if loads[i], err = bench.NewLoad(c, u, r.Addr(), target.Withholds); err != nil {
			return err
		}
		defer loads[i].Close()
		if err := loads[i].Run(2 * c.Clients); err != nil {
			return err
		}
	}
	costs := make([][]cost, len(targets)) // by target and round
	for range rounds {
		for i, l := range loads {
			c, err := measure(l, length)
			if err != nil {
				return err
			}
			costs[i] = append(costs[i], c)
		}
	}
	for i, target := range targets {
		wall, cpu, bytes, allocs := medians(costs[i])
		net, ratio, event := "–", "–", "–"
		if i != direct {
			_, base, _, _ := medians(costs[direct])
			ratios := make([]float64, rounds)
			for r := range rounds {
				floor := costs[direct][r].cpu
				ratios[r] = (costs[i][r].cpu - floor) / (costs[reference][r].cpu - floor)
			}
			net, ratio = fmt.Sprintf("%.1f", cpu-base), fmt.Sprintf("%.2f", median(ratios))
			if c.Events > 0 {
				event = fmt.Sprintf("%.2f", (cpu-base)/float64(c.Events))
			}
		}
		fmt.Fprintf(w, layout, c.Name, target.Name, fmt.Sprintf("%.1f", wall), fmt.Sprintf("%.1f", cpu), net, ratio, event,
			fmt.Sprintf("%.0f", bytes), fmt.Sprintf("%.1f", allocs))
	}
	return nil
}

// layout is a row of the table.
const layout = "%-18s %-13s %9s %9s %9s %6s %9s %9s %8s\n"

// cost is what one call costs, in microseconds and bytes.
type cost struct{ wall, cpu, bytes, allocs float64 }

func measure(l *bench.Load, length time.Duration) (cost, error) {
	runtime.GC()
	n := 0
	m, err := bench.Measure(func() (err error) { n, err = l.RunFor(length); return err })
	if err != nil || n == 0 {
		return cost{}, errors.Join(err, errors.New("no calls"))
	}
	calls := float64(n)
	return cost{
		wall: float64(m.Wall.Nanoseconds()) / 1e3 / calls, cpu: float64(m.CPU.Nanoseconds()) / 1e3 / calls,
		bytes: float64(m.Bytes) / calls, allocs: float64(m.Allocs) / calls,
	}, nil
}

func idle(w io.Writer, rounds int) error {
	const layout = "%-22s %12s %6s\n"
	fmt.Fprintf(w, layout, "target", "KiB a stream", "ratio")
	var perStream []float64
	for _, target := range targets {
		var all []float64
		for range min(rounds, 3) {
			u, err := bench.NewUpstream()
			if err != nil {
				return err
			}
			n, err := bench.IdleBytes(target, u, bench.Idle().Clients)
			u.Close()
			if err != nil {
				return err
			}
			all = append(all, n/1024)
		}
		perStream = append(perStream, median(all))
	}
	floor := perStream[direct]
	fmt.Fprintf(w, layout, "clients and provider", fmt.Sprintf("%.1f", floor), "–")
	for i, n := range perStream {
		if i != direct {
			fmt.Fprintf(w, layout, targets[i].Name, fmt.Sprintf("%.1f", n-floor), fmt.Sprintf("%.2f", (n-floor)/(perStream[reference]-floor)))
		}
	}
	return nil
}

func medians(cs []cost) (wall, cpu, bytes, allocs float64) {
	of := func(field func(cost) float64) float64 {
		var all []float64
		for _, c := range cs {
			all = append(all, field(c))
		}
		return median(all)
	}
	return of(func(c cost) float64 { return c.wall }), of(func(c cost) float64 { return c.cpu }),
		of(func(c cost) float64 { return c.bytes }), of(func(c cost) float64 { return c.allocs })
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	n := len(all)
	if n == 0 {
		return 0
	}
	return (all[n/2] + all[(n-1)/2]) / 2
}
