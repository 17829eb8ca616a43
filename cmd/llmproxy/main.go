// Command llmproxy is the gateway as one binary. It has the flags and the signals; what
// it does is package gateway's.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/llmproxy/llmproxy/internal/gateway"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// Exit codes.
const (
	exitOK    = 0
	exitFault = 1 // of the configuration, or while running
	exitUsage = 2 // of the command line
)

// commands is the command line.
type commands struct {
	Config string `help:"Configuration file. Default: ${default_file} in the working directory, if there is one." placeholder:"FILE"`

	Serve   serve       `cmd:"" help:"Run the gateway."`
	Demo    demo        `cmd:"" help:"Run the gateway with simulated providers: no key, no network."`
	Check   check       `cmd:"" help:"Check the configuration and list every fault."`
	Doctor  doctor      `cmd:"" help:"Check each provider: reachability, credentials, clock."`
	Usage   usage       `cmd:"" help:"Show what was spent, from the ledger."`
	Keys    gatewayKeys `cmd:"" help:"Make, list and revoke gateway keys."`
	Prices  prices      `cmd:"" help:"Show what would be charged."`
	Version showVersion `cmd:"" help:"Print version, commit and Go version."`
}

type serve struct {
	Listen string `help:"Address to listen on, in place of the configuration's: host:port, or unix:/path." placeholder:"ADDR"`
}

// Help is shown by llmproxy serve --help.
func (serve) Help() string {
	return `Without a configuration file, every provider whose key is in the environment is there:
OPENAI_API_KEY makes provider openai, ANTHROPIC_API_KEY provider anthropic, and so on.

The first SIGINT or SIGTERM stops accepting and lets running exchanges finish, for at most
shutdown_timeout (30s). The second ends them at once.

SIGHUP, or a change of the configuration file, has the configuration read again. What is
running goes on as it began; a file with faults is refused, and the one before stays.`
}

func (s *serve) Run(r *process) error {
	reload, done := hangups()
	defer done()
	return gateway.Run(r.ctx, gateway.Signals{Stop: r.stop, Reload: reload}, gateway.Source{File: r.config, Listen: s.Listen}, shortVersion(), r.stderr)
}

type demo struct {
	Listen string `help:"Address to listen on: host:port, or unix:/path. Default: 127.0.0.1:8080, or a free port if that is taken." placeholder:"ADDR"`
}

// Help is shown by llmproxy demo --help.
func (demo) Help() string {
	return `Sends itself a request of each kind, prints what was routed and metered, then keeps serving
and prints what to try. It reads no configuration and writes no file.

To see the simulated providers misbehave, send the header X-Simulate, such as
"X-Simulate: pace=200ms" or "X-Simulate: status=429".`
}

func (d *demo) Run(r *process) error {
	const key = "simulated"
	return gateway.Demo{
		Listen: d.Listen,
		Provider: simulator.New(simulator.Options{
			APIKey:   key,
			AWS:      simulator.AWSCredentials{AccessKeyID: key, SecretAccessKey: key},
			AnyModel: true, Script: simulated,
		}),
		Key:     key,
		Version: shortVersion(),
		Stdout:  r.stdout,
		Stderr:  r.stderr,
	}.Run(r.ctx, r.stop)
}

type check struct{}

// Help is shown by llmproxy check --help.
func (check) Help() string {
	return `Reads the configuration as serve does, lists every fault with its line and what to write
instead, and exits with status 1 if there is any.`
}

func (check) Run(r *process) error { return gateway.Check(gateway.Source{File: r.config}, r.stdout) }

type doctor struct {
	Timeout time.Duration `help:"For each provider." default:"10s" placeholder:"T"`
}

// Help is shown by llmproxy doctor --help.
func (doctor) Help() string {
	return `Calls each configured provider once, in a way that costs nothing, and says what to do about
what is wrong. Exits with status 1 if anything is.`
}

func (d *doctor) Run(r *process) error {
	return gateway.Doctor{Source: gateway.Source{File: r.config}, Timeout: d.Timeout, Stdout: r.stdout}.Run(r.ctx)
}

type usage struct {
	Table   usageTable   `cmd:"" default:"withargs" help:"Spend by model, provider, key, day or tag."`
	Export  usageExport  `cmd:"" help:"Write usage records, the oldest first, to standard output."`
	Reprice usageReprice `cmd:"" help:"Compute costs again with the prices of today."`
}

type usageTable struct {
	Since string `help:"How long ago, as 24h or 30d, or a date or time." default:"24h" placeholder:"T"`
	Until string `help:"Likewise." placeholder:"T"`
	By    string `help:"model, provider, key, day, hour, outcome or tag:NAME." default:"model" placeholder:"GROUP"`
	JSON  bool   `help:"JSON in place of a table."`
}

func (u *usageTable) Run(r *process) error {
	return r.usage(u.Since, u.Until).Table(r.ctx, u.By, u.JSON)
}

type usageExport struct {
	Format string `help:"jsonl or csv." default:"jsonl" placeholder:"FORMAT"`
	Since  string `help:"From then on: a date or time, or how long ago, as 24h or 30d." placeholder:"T"`
	Until  string `help:"Likewise, up to then." placeholder:"T"`
}

// Help is shown by llmproxy usage export --help.
func (usageExport) Help() string {
	return `It may be asked while the gateway runs, and includes what the gateway's journal has not
drained into the ledger yet.`
}

func (u *usageExport) Run(r *process) error {
	return r.usage(u.Since, u.Until).Export(r.ctx, u.Format)
}

type usageReprice struct {
	Since  string `help:"From then on: a date or time, or how long ago, as 24h or 30d." placeholder:"T"`
	DryRun bool   `help:"Show the difference and change nothing."`
}

// Help is shown by llmproxy usage reprice --help.
func (usageReprice) Help() string {
	return `Takes the prices of the configuration and the list it names, and shows each record whose
cost is another one by them. The figures of before stay with the record.`
}

func (u *usageReprice) Run(r *process) error {
	return r.usage(u.Since, "").Reprice(r.ctx, u.DryRun)
}

// usage is a question to the ledger.
func (r *process) usage(since, until string) gateway.Usage {
	return gateway.Usage{Source: gateway.Source{File: r.config}, Since: since, Until: until, Stdout: r.stdout}
}

type gatewayKeys struct {
	Create keyCreate `cmd:"" help:"Make a key. Its secret is shown once, alone on standard output."`
	List   keyList   `cmd:"" help:"List the keys."`
	Revoke keyRevoke `cmd:"" help:"Make a key invalid; a running gateway knows of it within a second."`
}

type keyCreate struct {
	Name      string   `help:"What it is for." required:"" placeholder:"NAME"`
	Budget    string   `help:"Dollars that may be spent." placeholder:"5.00"`
	Per       string   `help:"day, month or total, in UTC. Default: total." placeholder:"PERIOD"`
	RPM       int64    `help:"Requests a minute." placeholder:"N"`
	TPM       int64    `help:"Tokens a minute." placeholder:"N"`
	Models    []string `help:"Patterns of models it may use. Default: all." placeholder:"A,B*"`
	Providers []string `help:"Patterns of providers it may use. Default: all." placeholder:"A,B*"`
	Expires   string   `help:"How long it is valid, as 12h or 30d, or a date. Default: for ever." placeholder:"T"`
	Tag       []string `help:"Tags of its records; may be given again." placeholder:"NAME=VALUE"`
	Unmetered bool     `help:"Although it has a budget or a list of models, it may use endpoints that cannot be metered."`
	JSON      bool     `help:"All of it, in JSON."`
}

func (k *keyCreate) Run(r *process) error {
	return r.keys().Create(r.ctx, gateway.NewKey{
		Name: k.Name, Budget: k.Budget, Per: k.Per, RPM: k.RPM, TPM: k.TPM, Models: k.Models, Providers: k.Providers,
		Expires: k.Expires, Tags: k.Tag, Unmetered: k.Unmetered, JSON: k.JSON,
	})
}

type keyList struct {
	JSON bool `help:"JSON in place of a table."`
}

func (k *keyList) Run(r *process) error { return r.keys().List(r.ctx, k.JSON) }

type keyRevoke struct {
	ID string `arg:"" help:"The key's id, key_…."`
}

func (k *keyRevoke) Run(r *process) error { return r.keys().Revoke(r.ctx, k.ID) }

func (r *process) keys() gateway.Keys {
	return gateway.Keys{Source: gateway.Source{File: r.config}, Stdout: r.stdout, Stderr: r.stderr}
}

type prices struct {
	Model    []string `arg:"" optional:"" help:"Models; without any, all that have a price."`
	Provider string   `help:"Of this provider only." placeholder:"P"`
	JSON     bool     `help:"JSON in place of a table."`
}

func (p *prices) Run(r *process) error {
	return gateway.Prices{Source: gateway.Source{File: r.config}, Models: p.Model, Provider: p.Provider, JSON: p.JSON, Stdout: r.stdout}.Run(r.ctx)
}

type showVersion struct{}

func (showVersion) Run(r *process) error {
	_, err := fmt.Fprint(r.stdout, buildInfo())
	return err
}

// process is what a command works with.
type process struct {
	ctx            context.Context // ends when everything must end at once
	stop           <-chan struct{} // closed when it is time to end in good order
	config         string
	stdout, stderr io.Writer
}

// simulated lets the simulated provider write its streams at a pace that can be watched,
// and below Groq's path report usage where Groq does.
func simulated(r *http.Request) simulator.Script {
	s := simulator.Script{BeforeEvent: simulator.Pause(10 * time.Millisecond)}
	if r.URL.Path == "/openai/v1/chat/completions" {
		s.Report = simulator.ReportXGroq
	}
	return s
}

func main() {
	if os.Getenv("GOGC") == "" {
		// A gateway's heap is small and its garbage short-lived: collecting half as often takes a
		// twentieth off the CPU time of a call, for a few megabytes.
		debug.SetGCPercent(200)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the command that args name and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	var cli commands
	helped := false
	parser, err := kong.New(&cli,
		kong.Name("llmproxy"),
		kong.Description("A gateway for the APIs of LLM providers: routes by model, streams as they stream, and meters what they report."),
		kong.Vars{"default_file": gateway.DefaultFile},
		kong.Writers(stdout, stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(int) { helped = true }),
	)
	if err != nil {
		panic(err) // the struct above is wrong
	}
	parsed, err := parser.Parse(args)
	switch {
	case helped:
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "llmproxy: %v\nRun \"llmproxy --help\" for what there is.\n", err)
		return exitUsage
	}

	ctx, stop, done := signals()
	defer done()
	err = parsed.Run(&process{ctx: ctx, stop: stop, config: cli.Config, stdout: stdout, stderr: stderr})
	var faults gateway.Faults
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &faults):
		fmt.Fprintln(stderr, err)
	default:
		fmt.Fprintln(stderr, "llmproxy:", err)
	}
	return exitFault
}

// signals returns a channel that closes at the first signal to end, and a context that
// ends at the second. done gives the signals back.
func signals() (ctx context.Context, stop <-chan struct{}, done func()) {
	ctx, cancel := context.WithCancel(context.Background())
	received := make(chan os.Signal, 2)
	signal.Notify(received, os.Interrupt, syscall.SIGTERM)
	first := make(chan struct{})
	go func() {
		select {
		case <-received:
			close(first)
		case <-ctx.Done():
			return
		}
		select {
		case <-received:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, first, func() {
		signal.Stop(received)
		cancel()
	}
}

// hangups returns a channel that receives after SIGHUP; several at once may be one. done
// gives the signal back.
func hangups() (reload <-chan struct{}, done func()) {
	received, asked := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(received, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-received:
			case <-ended:
				return
			}
			select {
			case asked <- struct{}{}:
			case <-ended:
				return
			}
		}
	}()
	return asked, func() {
		signal.Stop(received)
		close(ended)
	}
}
