package coderws_test

import (
	"testing"

	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/adapter/wstest"
)

func Benchmark(b *testing.B) { wstest.Benchmark(b, coderws.Upgrader{}, coderws.Dialer{}) }
