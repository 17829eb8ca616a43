//go:build unix

package postgres_test

import (
	"testing"

	"github.com/llmproxy/llmproxy/adapter/internal/ledgersql/ledgersqltest"
	"github.com/llmproxy/llmproxy/ledger"
)

func empty(b *testing.B) ledger.Store { return open(b, newDatabase(b, "ledger")) }

func BenchmarkAppend(b *testing.B) { ledgersqltest.BenchmarkAppend(b, empty) }
func BenchmarkSums(b *testing.B)   { ledgersqltest.BenchmarkSums(b, empty) }
