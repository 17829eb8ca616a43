// Package dashboard serves the admin listener: whether the process is up and ready, its
// metrics, the usage and models as JSON, and pages that show both to people.
//
// It reads records and changes nothing. The pages are rendered here, need no script for
// their figures, and load nothing from elsewhere. Who may see them is decided in one place
// for all of it: by a token, or, without one, by the name the request was for.
package dashboard

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// Records are the usage records that are shown: a [ledger.Store], or a [ledger.View] of one
// and its journal. Its methods are called by many goroutines at once.
type Records interface {
	Records(ctx context.Context, f ledger.Filter, yield func(*llmproxy.Record) error) error
	Sums(ctx context.Context, f ledger.Filter, by ledger.Grouping) ([]ledger.Sum, error)
}

var (
	_ Records = ledger.Store(nil)
	_ Records = ledger.View{}
)

// Live shows records as they are made: a [Tail].
type Live interface {
	// Subscribe returns the records that are made from now on, until ctx ends, which closes
	// the channel. It is closed earlier when the receiver is too slow, or the source ends.
	Subscribe(ctx context.Context) (<-chan llmproxy.Record, error)
}

// Options say what is served. Only Records must be there.
type Options struct {
	Records   Records
	Live      Live              // nil: the live page asks to be reloaded
	Providers func() []Provider // the configured ones, in their order; nil: those of the records
	Models    func() []Model    // with prices, where known; nil: none
	Metrics   http.Handler      // nil: /metrics is not found

	// NotReady returns the reasons why no traffic can be taken, such as "draining"; none
	// means ready. Who asks need not be known, so they must hold no secret. Nil: always
	// ready.
	NotReady func() []string

	// Token opens everything but /healthz and /readyz. "" is no token: then only requests
	// for a loopback name, or one of Hosts, are answered.
	Token string
	Hosts []string // names of this machine, without a port

	Version string           // shown to those who may see the pages
	Logger  *slog.Logger     // of what could not be read; nil means [slog.Default]
	Now     func() time.Time // nil means [time.Now]
}

//go:embed static templates
var files embed.FS

// Dashboard is the handler of the admin listener.
type Dashboard struct {
	o         Options
	mux       *http.ServeMux
	session   session
	templates *template.Template
	static    fs.FS
	hash      string        // of the static files, in their URLs
	streams   chan struct{} // one for each that is open
	reads     chan struct{} // likewise
}

// New returns the handler that o describes. It keeps o.
func New(o Options) (*Dashboard, error) {
	if o.Records == nil {
		return nil, fmt.Errorf("dashboard: no records to show")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NotReady == nil {
		o.NotReady = func() []string { return nil }
	}
	d := &Dashboard{o: o, mux: http.NewServeMux(), session: newSession(o.Token), streams: make(chan struct{}, maxStreams), reads: make(chan struct{}, maxReads)}
	var err error
	if d.static, err = fs.Sub(files, "static"); err == nil {
		d.hash, err = hashOf(d.static)
	}
	if err == nil {
		d.templates, err = template.New("").Funcs(d.functions()).ParseFS(files, "templates/*.html")
	}
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	d.route()
	return d, nil
}

// route lists what is served. What is not behind the guard is open to everybody.
func (d *Dashboard) route() {
	inside := http.NewServeMux()
	inside.HandleFunc("GET /api/usage", d.apiUsage)
	inside.HandleFunc("GET /api/models", d.apiModels)
	if d.o.Metrics != nil {
		inside.Handle("GET /metrics", d.o.Metrics)
	}
	inside.HandleFunc("GET /{$}", d.overviewPage)
	inside.HandleFunc("GET /exchanges", d.exchangesPage)
	inside.HandleFunc("GET /exchanges/{id}", d.exchangePage)
	inside.HandleFunc("GET /connections/{id}", d.connectionPage)
	inside.HandleFunc("GET /live", d.livePage)
	inside.HandleFunc("GET /live/events", d.liveEvents)
	inside.HandleFunc("GET /providers", d.providersPage)
	inside.HandleFunc("GET /models", d.modelsPage)
	inside.HandleFunc("/", d.notFound)

	d.mux.HandleFunc("GET /healthz", d.healthz)
	d.mux.HandleFunc("GET /readyz", d.readyz)
	d.mux.HandleFunc("GET /static/{name}", d.staticFile)
	d.mux.HandleFunc("GET /login", d.loginPage)
	d.mux.HandleFunc("POST /login", d.login)
	d.mux.HandleFunc("POST /logout", d.logout)
	d.mux.Handle("/", d.protect(inside))
}

// ServeHTTP answers one request.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secureHeaders(w.Header())
	d.mux.ServeHTTP(w, r)
}

// contentSecurityPolicy lets pages use the files of this listener and nothing else: no
// script, style or attribute of a page's own text counts.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func secureHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// Not no-referrer, which makes the Origin of our own forms null.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// hashOf returns a short hash of all files, so that a browser keeps them until they change.
func hashOf(files fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		fmt.Fprintf(h, "%s %d\n", name, len(text))
		h.Write(text)
		return err
	})
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))[:12], err
}

func (d *Dashboard) staticFile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if r.URL.RawQuery == d.hash {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if _, err := fs.Stat(d.static, name); err != nil || strings.HasPrefix(name, ".") {
		http.NotFound(w, r)
		return
	}
	http.ServeFileFS(w, r, d.static, name)
}
