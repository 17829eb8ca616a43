// Package python runs the example of a client in Python against the gateway. The tests
// skip where Python, or the package that the example uses, is not there.
package python

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	providerKey = "sk-of-the-gateway"
	clientKey   = "sk-of-the-client"
)

var example = filepath.Join("..", "..", "examples", "websocket-python", "client.py")

// interpreter returns a Python that can import all of modules.
func interpreter(t *testing.T, modules ...string) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if err := exec.CommandContext(t.Context(), path, "-c", "import "+strings.Join(modules, ", ")).Run(); err == nil {
			return path
		}
	}
	t.Skipf("no Python here that can import %s", strings.Join(modules, ", "))
	return ""
}

func TestExampleCompiles(t *testing.T) {
	t.Parallel()
	python := interpreter(t, "py_compile")
	out, err := exec.CommandContext(t.Context(), python, "-c",
		"import py_compile, sys; py_compile.compile(sys.argv[1], cfile=sys.argv[2], doraise=True)",
		example, filepath.Join(t.TempDir(), "client.pyc")).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// run runs the example with a gateway at base, and returns what it prints.
func run(t *testing.T, python, base string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, append([]string{"-I", example}, args...)...)
	cmd.Env = []string{"OPENAI_BASE_URL=" + base, "OPENAI_API_KEY=" + clientKey, "PYTHONIOENCODING=utf-8"}
	cmd.WaitDelay = time.Second
	var out, fault strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &fault
	err = cmd.Run()
	return out.String(), fault.String(), err
}

func newRig(t *testing.T) *rig.Sockets {
	t.Helper()
	return rig.NewSockets(t, rig.Setup{
		API: simulator.OpenAI, Simulator: simulator.Options{APIKey: providerKey, StrictWebSocket: true},
		Provider: func(base string) (llmproxy.Provider, error) {
			return openai_compatible.New(openai_compatible.Config{Type: "openai", BaseURL: base, APIKey: providerKey})
		},
		Options: []llmproxy.Option{llmproxy.WithFallback("openai")},
		Secrets: []string{clientKey},
	})
}

// The example has its conversation, and each of its turns is recorded and billed as the
// provider counted it.
func TestExample(t *testing.T) {
	t.Parallel()
	python := interpreter(t, "websockets", "asyncio")
	const want = `[6 tokens in, 7 out]
get_weather({"city":"Use the tool get_weather for Paris."})
You said: {"city": "Use the tool get_weather for Paris.", "sky": "clear", "celsius": 21}
[24 tokens in, 13 out]
You said: Thank you!
[39 tokens in, 4 out]
`
	for _, e := range []rig.Entry{{Name: "by the model", Base: "/v1"}, {Name: "by a prefix", Base: "/v1", Prefix: "openai/"}, {Name: "mount", Base: "/openai/v1/"}} {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			out, fault, err := run(t, python, r.Gateway+e.Base, e.Prefix+"gpt-5-mini")
			if out != want || err != nil || fault != "" {
				t.Errorf("it printed\n%s%s(%v), want\n%s", out, fault, err, want)
			}
			r.Counted(r.Enter(e), llmproxy.OutcomeError)
		})
	}
}

// It says what is wrong, in one line.
func TestExampleFails(t *testing.T) {
	t.Parallel()
	python := interpreter(t, "websockets", "asyncio")
	r := newRig(t)
	for _, tt := range []struct{ base, model, want string }{
		{r.Gateway + "/v1", "gpt-of-nobody", "client.py: The model 'gpt-of-nobody' does not exist"},
		{r.Gateway + "/" + rig.Decoy, "gpt-5-mini", "client.py: "},
		{"http://127.0.0.1:1/v1", "gpt-5-mini", "client.py: "},
	} {
		out, fault, err := run(t, python, tt.base, tt.model)
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != 1 || out != "" || !strings.HasPrefix(fault, tt.want) || strings.Count(fault, "\n") != 1 {
			t.Errorf("at %s: %q, %q, %v", tt.base, out, fault, err)
		}
		if strings.Contains(fault, clientKey) {
			t.Error("it tells the key")
		}
	}
}
