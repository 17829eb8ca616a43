package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/llmproxy/llmproxy"
)

// apiError is an answer that is no success. Its message is our own words.
type apiError struct {
	status  int
	Type    string `json:"type"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Param   string `json:"param,omitempty"` // the parameter that is wrong
}

func (e apiError) Error() string { return e.Message }

var (
	crossOrigin = apiError{
		status: http.StatusForbidden, Type: "permission_error", Code: "cross_origin",
		Message: "requests from pages of other origins are refused",
	}
	nothingHere = apiError{
		status: http.StatusNotFound, Type: "invalid_request_error", Code: "not_found",
		Message: "there is nothing at this path",
	}
)

// invalid says what is wrong with a parameter.
func invalid(param, message string) apiError {
	return apiError{
		status: http.StatusBadRequest, Type: "invalid_request_error", Code: "invalid_parameter",
		Message: param + ": " + message, Param: param,
	}
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // v is ours, and has no value that JSON lacks
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

func writeError(w http.ResponseWriter, e apiError) {
	writeJSON(w, e.status, struct {
		Error apiError `json:"error"`
	}{e})
}

// failed turns what went wrong with reading into an answer, and logs it where the client
// can do nothing about it.
func (d *Dashboard) failed(r *http.Request, err error) apiError {
	if e, ok := errors.AsType[apiError](err); ok {
		return e
	}
	switch {
	case r.Context().Err() != nil:
		return apiError{status: 499, Type: "invalid_request_error", Code: "client_closed_request", Message: "the client left"}
	case errors.Is(err, llmproxy.ErrMoney):
		return apiError{
			status: http.StatusUnprocessableEntity, Type: "invalid_request_error", Code: "sum_too_large",
			Message: "the sum is more than an amount can hold: choose a shorter time",
		}
	case !errors.Is(err, context.Canceled):
		d.o.Logger.Error("the ledger could not be read", "path", r.URL.Path, "error", err)
	}
	return apiError{
		status: http.StatusServiceUnavailable, Type: "api_error", Code: "ledger_unavailable",
		Message: "the ledger cannot be read at the moment: the gateway's log says why",
	}
}

// refuse answers with e: a page for a browser, JSON for others.
func (d *Dashboard) refuse(w http.ResponseWriter, r *http.Request, e apiError) {
	if strings.HasPrefix(r.URL.Path, "/api/") || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		writeError(w, e)
		return
	}
	d.render(w, r, e.status, "error", errorView{Title: http.StatusText(e.status), Message: e.Message})
}

type errorView struct{ Title, Message string }

// notFound answers for what is not served.
func (d *Dashboard) notFound(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		d.refuse(w, r, apiError{
			status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed",
			Message: "nothing can be changed here: use GET",
		})
		return
	}
	d.refuse(w, r, nothingHere)
}

// page is what every template gets.
type page struct {
	Name    string // of the template
	Path    string
	Version string
	LogOut  bool // there is a session to end
	Plain   bool // without navigation: nobody is known yet
	View    any
}

// Title returns the title of the page.
func (p page) Title() string {
	return strings.ToUpper(p.Name[:1]) + p.Name[1:]
}

// Links returns the pages to choose from.
func (p page) Links() (all []choice) {
	for _, c := range [...]choice{
		{Name: "Overview", URL: "/"},
		{Name: "Exchanges", URL: "/exchanges"},
		{Name: "Live", URL: "/live"},
		{Name: "Providers", URL: "/providers"},
		{Name: "Models", URL: "/models"},
	} {
		c.Here = p.Path == c.URL || c.URL != "/" && strings.HasPrefix(p.Path, c.URL+"/") ||
			c.URL == "/exchanges" && strings.HasPrefix(p.Path, "/connections/")
		all = append(all, c)
	}
	return all
}

// render answers with a page. It is whole before its status is sent.
func (d *Dashboard) render(w http.ResponseWriter, r *http.Request, status int, name string, view any) {
	p := page{Name: name, Path: r.URL.Path, View: view}
	p.Plain = name == "login" || name == "error" && !d.allowed(r)
	if !p.Plain {
		p.Version, p.LogOut = d.o.Version, d.o.Token != ""
	}
	var b bytes.Buffer
	if err := d.templates.ExecuteTemplate(&b, name, p); err != nil {
		d.o.Logger.Error("a page could not be made", "page", name, "error", err)
		http.Error(w, "the page could not be made: the gateway's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

// healthz says that the process is up.
func (d *Dashboard) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, readiness{Status: "ok"})
}

// readiness is the answer of /healthz and /readyz.
type readiness struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons,omitempty"`
}

// readyz says whether traffic can be taken.
func (d *Dashboard) readyz(w http.ResponseWriter, _ *http.Request) {
	if reasons := d.o.NotReady(); len(reasons) > 0 {
		w.Header().Set("Retry-After", "5")
		writeJSON(w, http.StatusServiceUnavailable, readiness{"not ready", reasons})
		return
	}
	writeJSON(w, http.StatusOK, readiness{Status: "ready"})
}
