package simulator

import (
	"context"
	"time"
)

// Gate holds an answer back until it returns. It is told how many events (of a stream)
// or pieces (of another body) have been sent. It must return ctx's error when ctx ends;
// any error aborts the connection.
type Gate func(ctx context.Context, sent int) error

// Until receives once from ch each time it is reached: a send lets one event pass, a
// closed channel all of them.
func Until(ch <-chan struct{}) Gate {
	return func(ctx context.Context, _ int) error {
		select {
		case <-ch:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Pause waits for d of real time. It is meant for a person who looks on; tests use
// [Until].
func Pause(d time.Duration) Gate {
	return func(ctx context.Context, _ int) error {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Never waits until the client has left.
func Never(ctx context.Context, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

// At applies g only when n events have been sent.
func At(n int, g Gate) Gate {
	return func(ctx context.Context, sent int) error {
		if sent != n {
			return nil
		}
		return g(ctx, sent)
	}
}

// pass waits at g; nil is open.
func (g Gate) pass(ctx context.Context, sent int) error {
	if g == nil {
		return nil
	}
	return g(ctx, sent)
}
