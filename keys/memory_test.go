package keys_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy/keys"
	"github.com/llmproxy/llmproxy/keys/keystest"
)

// No test may leave a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	keystest.Run(t, func(*testing.T) keys.Store { return &keys.Memory{} })
}

func TestMemoryShared(t *testing.T) {
	t.Parallel()
	keystest.RunShared(t, func(*testing.T) (keys.Store, keys.Store) {
		m := &keys.Memory{}
		return m, m
	})
}

func TestMemoryOwners(t *testing.T) {
	t.Parallel()
	keystest.RunOwners(t, func(*testing.T) keys.OwnerStore { return &keys.Memory{} })
}

func TestLocal(t *testing.T) {
	t.Parallel()
	keystest.RunHolder(t, func(*testing.T) keys.Holder { return keys.NewLocal(nil) })
}
