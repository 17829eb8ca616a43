package gorillaws_test

import (
	"testing"

	"github.com/llmproxy/llmproxy/adapter/gorillaws"
	"github.com/llmproxy/llmproxy/adapter/wstest"
)

func Benchmark(b *testing.B) { wstest.Benchmark(b, gorillaws.Upgrader{}, gorillaws.Dialer{}) }
