package gateway

import (
	"context"
	"log/slog"

	"github.com/llmproxy/llmproxy"
)

// LogRecorder returns a recorder that writes each record as one line to logger: the
// members of the usage record, beside the message "exchange". A record holds no prompt,
// no answer, no credential and no query.
func LogRecorder(logger *slog.Logger) llmproxy.Recorder { return logRecorder{logger} }

type logRecorder struct{ logger *slog.Logger }

// Begin does nothing: a log has no use for intents.
func (l logRecorder) Begin(context.Context, *llmproxy.Record) error { return nil }

// Record logs r. It never fails.
func (l logRecorder) Record(ctx context.Context, r *llmproxy.Record) error {
	// A group without a key is written as if its members stood here.
	l.logger.LogAttrs(ctx, slog.LevelInfo, "exchange", slog.Any("", r))
	return nil
}
