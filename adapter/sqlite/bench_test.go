package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/llmproxy/llmproxy/adapter/internal/ledgersql/ledgersqltest"
	"github.com/llmproxy/llmproxy/ledger"
)

func empty(b *testing.B) ledger.Store { return open(b, filepath.Join(b.TempDir(), "ledger.db")) }

func BenchmarkAppend(b *testing.B) { ledgersqltest.BenchmarkAppend(b, empty) }
func BenchmarkSums(b *testing.B)   { ledgersqltest.BenchmarkSums(b, empty) }
