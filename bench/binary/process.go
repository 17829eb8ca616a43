//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is a gateway that can be started.
type program struct {
	name      string
	path      string
	cpu       string                                // see options
	withholds bool                                  // see bench.Target
	args      func(listen string) ([]string, error) // to listen there
}

// running is a program that answers.
type running struct {
	program
	addr   string
	begun  time.Time // when it was started
	pid    int
	stop   func() // ends it, and waits for its end
	exited chan struct{}
}

// start starts p on a free port and returns when it accepts connections. Its log goes
// nowhere, but is written. It must be stopped; it ends with ctx, and with this process.
func (p program) start(ctx context.Context) (*running, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	args, err := p.args(addr)
	if err != nil {
		return nil, err
	}
	name := p.path
	if p.cpu != "" {
		// It becomes the program, under the same process id.
		name, args = "taskset", append([]string{"-c", p.cpu, p.path}, args...)
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second // for the good end, before the bad one
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	r := &running{program: p, addr: addr, begun: time.Now(), exited: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	r.pid = cmd.Process.Pid
	go func() {
		_ = cmd.Wait()
		close(r.exited)
	}()
	r.stop = func() { cancel(); <-r.exited }
	if err := r.listening(ctx); err != nil {
		r.stop()
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return r, nil
}

// listening returns when a connection can be made.
func (r *running) listening(ctx context.Context) error {
	// Nothing but connecting tells when it listens: its log goes to /dev/null.
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.addr)
		if err == nil {
			return conn.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		select {
		case <-tick.C:
		case <-r.exited:
			return errors.New("it ended before it listened; run it by hand to see why")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// freeAddr returns an address of the loopback interface at which nothing listens.
func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (r *running) proc(file string) string { return "/proc/" + strconv.Itoa(r.pid) + "/" + file }

// cpuTime returns the time that the process has spent in user and kernel mode.
func (r *running) cpuTime() (time.Duration, error) {
	stat, err := os.ReadFile(r.proc("stat"))
	if err != nil {
		return 0, err
	}
	// The program's name comes second, in parentheses, and may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const utime, stime = 14 - 3, 15 - 3 // proc(5) counts from 1
	if len(fields) <= stime {
		return 0, fmt.Errorf("%s has %d fields", r.proc("stat"), len(fields))
	}
	var sum time.Duration
	for _, i := range []int{utime, stime} {
		n, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * (time.Second / 100) // USER_HZ is 100
	}
	return sum, nil
}

// memory returns the resident memory of the process in bytes, now and at its peak.
func (r *running) memory() (now, peak int64, err error) {
	status, err := os.ReadFile(r.proc("status"))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		var field *int64
		switch name {
		case "VmRSS":
			field = &now
		case "VmHWM":
			field = &peak
		default:
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		if err != nil {
			return 0, 0, err
		}
		*field = n << 10
	}
	if now == 0 || peak == 0 {
		return 0, 0, fmt.Errorf("%s says nothing about memory", r.proc("status"))
	}
	return now, peak, nil
}

// forgetPeak makes the present memory the peak.
func (r *running) forgetPeak() error { return os.WriteFile(r.proc("clear_refs"), []byte("5"), 0) }
