package interceptors_test

import (
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/interceptors/interceptorstest"
)

// Redaction that finds nothing to redact, inside and around each other interceptor.
func TestRedactionInTheSuite(t *testing.T) {
	t.Parallel()
	for _, answers := range []bool{false, true} {
		name := "Redaction"
		if answers {
			name = "Redaction of answers"
		}
		redaction := interceptorstest.Case{
			Name: name, ReadsAnswer: answers,
			New: one(func() llmproxy.Interceptor {
				return &interceptors.Redaction{Redactor: interceptors.MaskWords("[gone]", "said: never", "a word"), Answers: answers}
			}),
		}
		suite().Run(t, redaction)
		for _, other := range cases() {
			suite().Run(t, redaction, other)
			suite().Run(t, other, redaction)
		}
	}
}
