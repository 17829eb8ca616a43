package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Doctor calls each configured provider once, in the cheapest way that shows whether it is
// reached, takes the credential, and has the same time.
type Doctor struct {
	Source  Source
	Timeout time.Duration // of one provider; 0 means 10 s
	Stdout  io.Writer
}

// ErrFaults means that the doctor has found something; what, is on its output.
var ErrFaults = errors.New("the doctor has found faults")

// diagnosis is what was found out about a provider. Nothing in it is secret.
type diagnosis struct {
	findings []string
	advice   []string // what to do about faults; none: it is well
}

// Run prints what is found and what to do about it. The error is that of the configuration,
// or [ErrFaults].
func (d Doctor) Run(ctx context.Context) error {
	c, err := d.Source.Load()
	if err != nil {
		return err
	}
	for _, f := range c.Warnings {
		f.Message = "warning: " + f.Message
		fmt.Fprintln(d.Stdout, f)
	}
	for _, i := range c.Incomplete {
		fmt.Fprintf(d.Stdout, "warning: %s\n", i)
	}
	timeout := d.Timeout
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	transport := llmproxy.NewTransport()
	defer transport.CloseIdleConnections()
	all := make([]diagnosis, len(c.Providers))
	var calls sync.WaitGroup
	for i := range c.Providers {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			all[i] = c.Providers[i].examine(ctx, transport, timeout)
		})
	}
	calls.Wait()

	w := tabwriter.NewWriter(d.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "configuration\tok\t%s: no faults\n", c.origin())
	faults := 0
	for i, found := range all {
		state := "ok"
		if len(found.advice) > 0 {
			state = "FAULT"
			faults++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.Providers[i].Name, state, strings.Join(found.findings, "; "))
		for _, advice := range found.advice {
			fmt.Fprintf(w, "\t\t→ %s\n", advice)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if faults > 0 {
		return fmt.Errorf("%w: with %d of %d providers", ErrFaults, faults, len(all))
	}
	return nil
}

// probe is a call that costs nothing and needs the credential.
type probe struct {
	method, path, body string
	mount              bool // path is below the root, and not below the API's
	api                llmproxy.APIType
	// told says that an answer of 400 or 404 comes after the credential was checked.
	told bool
}

// probeOf returns the call for a type of provider; ok is false where there is none that
// would tell.
func probeOf(providerType string) (p probe, ok bool) {
	switch providerType {
	case "vertexai": // lists nothing without more rights than a call needs
		return probe{method: "GET", path: "/", mount: true}, false
	case "bedrock": // a conversation without a message, which is refused after its signature was checked
		return probe{method: "POST", path: "/model/amazon.nova-micro-v1:0/converse", body: "{}", mount: true, api: llmproxy.APIConverse, told: true}, true
	case "cohere":
		return probe{method: "GET", path: "/v1/models", mount: true}, true
	case "googleai":
		return probe{method: "GET", path: "/models", api: llmproxy.APIGenerateContent}, true
	}
	return probe{method: "GET", path: "/models", api: "models"}, true
}

// examine calls the provider that p describes. It ends with ctx, which ends after timeout.
func (p *ProviderConfig) examine(ctx context.Context, transport http.RoundTripper, timeout time.Duration) (d diagnosis) {
	t, _ := findType(p.Type)
	provider, err := t.build(*p)
	if err != nil { // which loading has seen to
		return diagnosis{[]string{"it cannot be made"}, []string{"run llmproxy check"}}
	}
	call, tells := probeOf(p.Type)
	x := &llmproxy.Exchange{
		Method: call.method, Header: http.Header{}, Route: llmproxy.Route{Provider: provider},
		Operation: llmproxy.Operation{Path: call.path, API: call.api, Mount: call.mount, JSON: call.body != ""},
	}
	r, err := newProbe(ctx, provider, x, call.body)
	if err != nil {
		return diagnosis{[]string{"no address can be made of its base_url"}, []string{"correct " + p.field("base_url")}}
	}
	host := r.URL.Host
	if !p.passes() {
		if err := provider.Enrich(r, x); err != nil {
			d.findings = append(d.findings, "no credential can be had")
			d.advice = append(d.advice, p.credentialAdvice())
			return d
		}
	}
	start := time.Now()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		finding, advice := p.unreachable(ctx, err, r.URL.Hostname(), timeout)
		return diagnosis{[]string{fmt.Sprintf("%s is not reached: %s", host, finding)}, []string{advice}}
	}
	defer resp.Body.Close()
	end := time.Now()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	d.findings = append(d.findings, fmt.Sprintf("%s is reached in %d ms", host, end.Sub(start).Milliseconds()))
	p.judgeAnswer(&d, provider, resp.StatusCode, body, tells, call.told)
	d.judgeClock(resp.Header.Get("Date"), start, end)
	return d
}

func newProbe(ctx context.Context, provider llmproxy.Provider, x *llmproxy.Exchange, body string) (*http.Request, error) {
	u, err := provider.Resolve(x)
	if err != nil {
		return nil, err
	}
	var payload io.Reader
	if body != "" {
		payload = bytes.NewReader([]byte(body))
	}
	r, err := http.NewRequestWithContext(ctx, x.Method, u.String(), payload)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "llmproxy-doctor")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

// judgeAnswer says what an answer tells of the credential.
func (p *ProviderConfig) judgeAnswer(d *diagnosis, provider llmproxy.Provider, status int, body []byte, tells, told bool) {
	say := func(finding string) { d.findings = append(d.findings, finding) }
	rejects := provider.Settings().RejectsKey
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusBadRequest && rejects != nil && rejects(body)
	switch {
	case status >= 500:
		say(fmt.Sprintf("it answers %d", status))
		d.advice = append(d.advice, "the provider has a fault: look at its status page, or at the log of a server of your own")
	case p.passes():
		say("each client brings its own key")
	case !tells:
		say("a credential was found; no cheap call shows whether it is taken")
	case refused:
		say(fmt.Sprintf("the credential is refused (%d)", status))
		d.advice = append(d.advice, p.credentialAdvice())
	case status < 300, told && (status == http.StatusBadRequest || status == http.StatusNotFound):
		if p.keyless() {
			say("it needs no key")
		} else {
			say("the credential is taken")
		}
	case status == http.StatusTooManyRequests:
		say("it has too many requests at the moment (429)")
	case status >= 300 && status < 400:
		say(fmt.Sprintf("it answers %d, and leads elsewhere", status))
		d.advice = append(d.advice, "write where it leads to as "+p.field("base_url"))
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		say(fmt.Sprintf("it lists no models (%d), so the credential was not tried; base_url may lead past the API", status))
	default:
		say(fmt.Sprintf("it answers %d, which says nothing of the credential", status))
	}
}

// keyless reports whether p has no credential because it needs none.
func (p *ProviderConfig) keyless() bool {
	t, _ := findType(p.Type)
	return p.APIKey == "" && p.AuthToken == "" && t.name != "bedrock" && t.name != "azure"
}

// maxSkew is how far clocks may be apart: signatures hold for five minutes, tokens for less
// before their time.
const maxSkew = time.Minute

// judgeClock compares the provider's time, in the form of RFC 9110 §5.6.7, with ours when
// the answer came.
func (d *diagnosis) judgeClock(date string, start, end time.Time) {
	theirs, err := http.ParseTime(date)
	if err != nil {
		return // it does not say
	}
	ahead := start.Sub(theirs.Add(time.Second)) // a Date has whole seconds
	behind := theirs.Sub(end)
	switch {
	case ahead > maxSkew:
		d.findings = append(d.findings, fmt.Sprintf("this clock is %s ahead of the provider's", ahead.Round(time.Second)))
	case behind > maxSkew:
		d.findings = append(d.findings, fmt.Sprintf("this clock is %s behind the provider's", behind.Round(time.Second)))
	default:
		d.findings = append(d.findings, "the clocks agree")
		return
	}
	d.advice = append(d.advice, "set this machine's clock, by NTP: signatures and tokens of the wrong time are refused")
}

// unreachable says why no answer came, and what to do. What the error quotes is not shown.
func (p *ProviderConfig) unreachable(ctx context.Context, err error, host string, timeout time.Duration) (finding, advice string) {
	base := p.field("base_url")
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var plain tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case ctx.Err() != nil:
		return fmt.Sprintf("no answer within %s", timeout), "check " + base + ", the firewall, and HTTPS_PROXY where this network needs a proxy"
	case errors.As(err, &dns):
		return "the name " + host + " cannot be resolved", "check the spelling of " + base + ", and this machine's DNS"
	case errors.As(err, &unknown):
		return "its certificate is of an authority that is not known here", "name the file of your own authority in SSL_CERT_FILE, if you have one; else somebody stands in between"
	case errors.As(err, &name):
		return "its certificate is for another name", "write the name of the certificate in " + base
	case errors.As(err, &invalid):
		return "its certificate is not valid now", "check this machine's clock; else the provider has to renew it"
	case errors.As(err, &plain):
		return "it does not speak TLS", "write http:// in " + base
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused", "start the service, or correct the port in " + base
	}
	return "the connection fails", "check " + base + ", the firewall, and HTTPS_PROXY where this network needs a proxy"
}

// field names a key of p in the configuration.
func (p *ProviderConfig) field(key string) string { return "providers." + p.Name + "." + key }

// credentialAdvice says where p's credential is to be set right.
func (p *ProviderConfig) credentialAdvice() string {
	for _, c := range [...]struct{ key, value string }{
		{"api_key", p.APIKey},
		{"auth_token", p.AuthToken},
		{"access_token", p.AccessToken},
		{"bearer_token", p.BearerToken},
		{"secret_access_key", p.SecretAccessKey},
	} {
		if c.value == "" {
			continue
		}
		if name := p.variables[c.key]; name != "" {
			return "set " + name + " to a valid key of this provider, with the rights to call models"
		}
		return "set " + p.field(c.key) + " to a valid key of this provider, with the rights to call models"
	}
	switch p.Type {
	case "bedrock":
		return "credentials come from AWS's own tools here: run aws sts get-caller-identity, or set " + p.field("bearer_token")
	case "azure":
		return "tokens come from Entra ID here: run az login, or set " + p.field("api_key")
	case "vertexai":
		return "tokens come from Google's application-default credentials here: run gcloud auth application-default login, or set " + p.field("access_token")
	}
	return "set " + p.field("api_key") + ": the service wants a key"
}
