package interceptors

import (
	"context"
	"log/slog"
	"slices"

	"github.com/llmproxy/llmproxy"
)

// Logging writes one line when an exchange begins and one when it has ended, WebSocket
// turns included. The second has the members of the exchange's record: model, provider,
// API, transport, turn, status, outcome, time, time to the first byte, tokens, cost. No
// line has a prompt, an answer or a credential; a key appears as its public id.
//
// It belongs outside of retries and fallbacks. Inside, an exchange still has two lines,
// whose first says what the first attempt asks for.
//
// The zero value logs to [slog.Default]. A Logging is safe for concurrent use and must not
// be copied after the first.
type Logging struct {
	// Logger is where to; nil means slog.Default().
	Logger *slog.Logger
	// Start is the level of the first line; nil means slog.LevelDebug.
	Start slog.Leveler
	// End is the level of the second one of exchanges that went well, were refused or whose
	// client left; nil means slog.LevelInfo. That of others is slog.LevelWarn or End,
	// whichever is higher.
	End slog.Leveler

	once once
}

// Intercept implements [llmproxy.Interceptor].
func (l *Logging) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	if !l.once.enter(x.ID) {
		return next(ctx, x)
	}
	logger := l.Logger
	if logger == nil {
		logger = slog.Default()
	}
	if level := levelOr(l.Start, slog.LevelDebug); logger.Enabled(ctx, level) {
		logStart(ctx, logger, level, x)
	}
	x.OnSettled(func(r *llmproxy.Record) {
		l.once.leave(r.ID)
		level := levelOr(l.End, slog.LevelInfo)
		if r.Outcome == llmproxy.OutcomeError || r.Outcome == llmproxy.OutcomeFailed {
			level = max(level, slog.LevelWarn)
		}
		if logger.Enabled(ctx, level) {
			// A group without a name is written as if its members stood here.
			logger.LogAttrs(ctx, level, "exchange ended", slog.Attr{Value: r.LogValue()})
		}
	})
	return next(ctx, x)
}

func levelOr(l slog.Leveler, otherwise slog.Level) slog.Level {
	if l == nil {
		return otherwise
	}
	return l.Level()
}

// logStart logs what is known of x before it is sent, under the names that its record has
// for it.
func logStart(ctx context.Context, logger *slog.Logger, level slog.Level, x *llmproxy.Exchange) {
	provider := ""
	if p := x.Route.Provider; p != nil {
		provider = p.Name()
	}
	attrs := [...]slog.Attr{
		slog.String("id", x.ID),
		slog.String("provider", provider),
		slog.String("api", string(x.Operation.API)),
		slog.String("transport", string(x.Transport)),
		slog.String("model_requested", x.Meta.Model),
		slog.String("model", x.UpstreamModel()),
		slog.String("key", x.Caller.Key),
	}
	logger.LogAttrs(ctx, level, "exchange begins", slices.DeleteFunc(attrs[:], func(a slog.Attr) bool { return a.Value.String() == "" })...)
}
