//go:build linux

// Command binary measures the gateway as it is run: as a process of its own, between
// clients and a provider in this one. It prints what a call or an event costs the
// process in CPU time, how much memory it takes, and the same of the reference.
//
// Run it by bench/run.sh, which builds the two programs. It ends all that it starts, and
// itself after three minutes at most.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/llmproxy/llmproxy/bench"
)

const atMost = 3 * time.Minute

func main() {
	// What is started here dies with this thread, so it has to be one that stays.
	runtime.LockOSThread()
	var o options
	flag.StringVar(&o.gateway, "llmproxy", "bin/llmproxy", "path of the gateway's program")
	flag.StringVar(&o.reference, "reverseproxy", "bin/bench/reverseproxy", "path of the reference's program")
	flag.StringVar(&o.cpu, "cpu", "", "cores for the two programs, as taskset has them; none: any")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each case is run on each program")
	flag.DurationVar(&o.length, "time", time.Second, "how long a run takes, about")
	pattern := flag.String("case", "", "regular expression of the cases to run; idle and start are two")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, atMost, fmt.Errorf("not done after %v", atMost))
	defer cancel()
	var err error
	if o.pattern, err = regexp.Compile(*pattern); err == nil {
		err = run(ctx, os.Stdout, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "binary:", errors.Join(err, context.Cause(ctx)))
		cancel()
		os.Exit(1)
	}
}

type options struct {
	gateway, reference string // paths
	cpu                string
	rounds             int
	length             time.Duration
	pattern            *regexp.Regexp
}

func run(ctx context.Context, w io.Writer, o options) error {
	u, err := bench.NewUpstream()
	if err != nil {
		return err
	}
	defer u.Close()
	dir, err := os.MkdirTemp("", "llmproxy-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	programs := []program{
		{name: "reverseproxy", path: o.reference, cpu: o.cpu, args: func(listen string) ([]string, error) {
			return []string{"-listen", listen, "-upstream", u.Addr()}, nil
		}},
		{name: "llmproxy", path: o.gateway, cpu: o.cpu, withholds: true, args: func(listen string) ([]string, error) {
			file := filepath.Join(dir, "llmproxy.yaml")
			config := fmt.Sprintf("listen: %s\nproviders: {openai: {api_key: sk-none, base_url: \"http://%s\"}}\n", listen, u.Addr())
			return []string{"serve", "--config", file}, os.WriteFile(file, []byte(config), 0o600)
		}},
	}
	fmt.Fprintf(w, "%s, %d rounds of %v, programs on core %s\n", runtime.Version(), o.rounds, o.length, cmp.Or(o.cpu, "any"))
	if o.pattern.MatchString("start") {
		if err := footprint(ctx, w, u, programs); err != nil {
			return err
		}
	}
	if o.pattern.MatchString(bench.Idle().Name) {
		if err := idle(ctx, w, u, programs); err != nil {
			return err
		}
	}
	return load(ctx, w, u, programs, o)
}

// footprint prints how large the programs are, how long they take to their first answer,
// the best of several, and what memory they take two seconds after it.
func footprint(ctx context.Context, w io.Writer, u *bench.Upstream, programs []program) error {
	const (
		layout = "%-14s %10s %10s %8s\n"
		starts = 7
		rest   = 2 * time.Second
	)
	fmt.Fprintf(w, "\n"+layout, "program", "binary MB", "start ms", "idle MB")
	for _, p := range programs {
		info, err := os.Stat(p.path)
		if err != nil {
			return err
		}
		var took []time.Duration
		var memory int64
		for i := range starts {
			r, err := p.start(ctx)
			if err != nil {
				return err
			}
			err = call(u, r)
			took = append(took, time.Since(r.begun))
			if err == nil && i == starts-1 {
				select {
				case <-time.After(rest):
				case <-ctx.Done():
				}
				memory, _, err = r.memory()
			}
			r.stop()
			if err != nil {
				return err
			}
		}
		fmt.Fprintf(w, layout, p.name, megabytes(info.Size()), fmt.Sprintf("%.1f", slices.Min(took).Seconds()*1e3), megabytes(memory))
	}
	return nil
}

// call makes one small call.
func call(u *bench.Upstream, r *running) error {
	c := bench.Cases()[0]
	c.Clients = 1
	l, err := bench.NewLoad(c, u, r.addr, r.withholds)
	if err != nil {
		return err
	}
	defer l.Close()
	return l.Run(1)
}

// idle prints the growth of a fresh process that holds streams which stand still.
func idle(ctx context.Context, w io.Writer, u *bench.Upstream, programs []program) error {
	const layout = "%-14s %12s %8s %6s\n"
	fmt.Fprintf(w, "\n"+layout, fmt.Sprintf("%d idle", bench.Idle().Clients), "KB a stream", "RSS MB", "ratio")
	var floor float64
	for i, p := range programs {
		each, total, err := p.idle(ctx, u)
		if err != nil {
			return err
		}
		if i == 0 {
			floor = each
		}
		fmt.Fprintf(w, layout, p.name, fmt.Sprintf("%.1f", each/1e3), megabytes(total), fmt.Sprintf("%.2f", each/floor))
	}
	return nil
}

func (p program) idle(ctx context.Context, u *bench.Upstream) (each float64, total int64, err error) {
	r, err := p.start(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer r.stop()
	if err := call(u, r); err != nil {
		return 0, 0, err
	}
	before, _, err := r.memory()
	if err != nil {
		return 0, 0, err
	}
	c := bench.Idle()
	l, err := bench.NewLoad(c, u, r.addr, r.withholds)
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	if err := l.Open(); err != nil {
		return 0, 0, err
	}
	if total, _, err = r.memory(); err != nil {
		return 0, 0, err
	}
	return float64(total-before) / float64(c.Clients), total, l.Finish(u)
}

// load prints what the cases cost the programs.
func load(ctx context.Context, w io.Writer, u *bench.Upstream, programs []program, o options) error {
	const layout = "%-18s %-13s %8s %9s %9s %6s %9s\n"
	var all []*running
	for _, p := range programs {
		r, err := p.start(ctx)
		if err != nil {
			return err
		}
		defer r.stop()
		all = append(all, r)
	}
	fmt.Fprintf(w, "\n"+layout, "case", "program", "calls/s", "µs/call", "µs/event", "ratio", "peak MB")
	for _, c := range bench.Cases() {
		if !o.pattern.MatchString(c.Name) {
			continue
		}
		samples, err := measure(u, all, c, o)
		if err != nil {
			return err
		}
		for i, r := range all {
			var cpu, rate, ratio []float64
			var peak int64
			for round, s := range samples[i] {
				cpu, rate = append(cpu, s.cpu), append(rate, s.rate)
				ratio = append(ratio, s.cpu/samples[0][round].cpu)
				peak = max(peak, s.peak)
			}
			event := "–"
			if c.Events > 0 {
				event = fmt.Sprintf("%.2f", median(cpu)/float64(c.Events))
			}
			fmt.Fprintf(w, layout, c.Name, r.name, fmt.Sprintf("%.0f", median(rate)), fmt.Sprintf("%.1f", median(cpu)), event, fmt.Sprintf("%.2f", median(ratio)), megabytes(peak))
		}
	}
	return nil
}

// sample is one run of a case on one program.
type sample struct {
	cpu  float64 // of the program, in microseconds a call
	rate float64 // calls a second
	peak int64   // of its memory, in bytes
}

// measure runs c on all in turn, and returns the samples of each.
func measure(u *bench.Upstream, all []*running, c bench.Case, o options) (samples [][]sample, err error) {
	samples = make([][]sample, len(all))
	loads := make([]*bench.Load, len(all))
	for i, r := range all {
		if loads[i], err = bench.NewLoad(c, u, r.addr, r.withholds); err != nil {
			return nil, err
		}
		defer loads[i].Close()
		if err := loads[i].Run(2 * c.Clients); err != nil {
			return nil, err
		}
	}
	for range o.rounds {
		for i, r := range all {
			s, err := r.sample(loads[i], o.length)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			samples[i] = append(samples[i], s)
		}
	}
	return samples, nil
}

func (r *running) sample(l *bench.Load, length time.Duration) (s sample, err error) {
	if err := r.forgetPeak(); err != nil {
		return s, err
	}
	before, err := r.cpuTime()
	if err != nil {
		return s, err
	}
	begun := time.Now()
	n, err := l.RunFor(length)
	if err != nil {
		return s, err
	}
	took := time.Since(begun)
	after, err := r.cpuTime()
	if err != nil {
		return s, err
	}
	s.cpu, s.rate = float64((after-before).Microseconds())/float64(n), float64(n)/took.Seconds()
	_, s.peak, err = r.memory()
	return s, err
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	n := len(all)
	return (all[n/2] + all[(n-1)/2]) / 2
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/1e6) }
