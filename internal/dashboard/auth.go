package dashboard

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	cookieName    = "llmproxy_admin"
	cookieLasts   = 12 * time.Hour
	maxLoginBytes = 16 << 10
)

// session makes and checks what a browser holds in place of the token: a time, and a mark
// that only who knows the token can make for it. So a session outlives a restart, ends with
// a change of the token, and does not contain it.
type session struct {
	token [sha256.Size]byte // hashed, so that comparing does not show its length
	none  bool              // there is no token
	key   []byte
}

func newSession(token string) session {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("llmproxy admin session"))
	return session{token: sha256.Sum256([]byte(token)), none: token == "", key: mac.Sum(nil)}
}

// isToken compares in constant time.
func (s *session) isToken(text string) bool {
	hash := sha256.Sum256([]byte(text))
	return !s.none && subtle.ConstantTimeCompare(hash[:], s.token[:]) == 1
}

func (s *session) mark(until string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(until))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// value returns the value of a cookie that is good until t.
func (s *session) value(t time.Time) string {
	until := strconv.FormatInt(t.Unix(), 10)
	return until + "." + s.mark(until)
}

// isValue reports whether value was made here and is good at t.
func (s *session) isValue(value string, t time.Time) bool {
	until, mark, _ := strings.Cut(value, ".")
	if s.none || subtle.ConstantTimeCompare([]byte(mark), []byte(s.mark(until))) != 1 {
		return false
	}
	seconds, err := strconv.ParseInt(until, 10, 64)
	return err == nil && t.Unix() < seconds
}

// known reports whether r may see what is inside: it has the token, or a session.
func (d *Dashboard) known(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && d.session.isToken(strings.TrimSpace(token)) {
		return true
	}
	cookie, err := r.Cookie(cookieName)
	return err == nil && d.session.isValue(cookie.Value, d.o.Now())
}

// allowed reports whether r may see what is inside.
func (d *Dashboard) allowed(r *http.Request) bool {
	if d.o.Token == "" {
		return isOwnHost(r.Host, d.o.Hosts)
	}
	return d.known(r)
}

// protect keeps out who may not see what next serves. Without a token a page whose name
// was pointed at this machine after it was loaded (DNS rebinding) could read everything,
// so that requests must be for a name of this machine.
func (d *Dashboard) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case d.allowed(r):
			next.ServeHTTP(w, r)
		case d.o.Token == "":
			d.refuse(w, r, apiError{
				status: http.StatusForbidden, Type: "permission_error", Code: "unknown_host",
				Message: "requests for another host than this machine are refused while there is no admin token: set admin.token",
			})
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="llmproxy admin"`)
			if wantsPage(r) {
				d.render(w, r, http.StatusUnauthorized, "login", loginView{Next: localPath(r.URL.RequestURI())})
				return
			}
			writeError(w, apiError{
				status: http.StatusUnauthorized, Type: "authentication_error", Code: "invalid_token",
				Message: "the admin token is missing or wrong: send it as Authorization: Bearer",
			})
		}
	})
}

// isOwnHost reports whether host is a loopback address, localhost, or one of named.
func isOwnHost(host string, named []string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	if ip := net.ParseIP(name); ip != nil && ip.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(named, func(n string) bool { return strings.EqualFold(n, name) })
}

// wantsPage reports whether r is a browser's, in search of a page.
func wantsPage(r *http.Request) bool {
	return r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/api/") && r.URL.Path != "/metrics" &&
		strings.Contains(r.Header.Get("Accept"), "text/html")
}

// loginView is what the login page shows.
type loginView struct {
	Next  string // where to go then
	Wrong bool
}

func (d *Dashboard) loginPage(w http.ResponseWriter, r *http.Request) {
	if d.allowed(r) {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	d.render(w, r, http.StatusOK, "login", loginView{Next: "/"})
}

func (d *Dashboard) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLoginBytes)
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		d.refuse(w, r, crossOrigin)
		return
	}
	if err := r.ParseForm(); err != nil {
		d.refuse(w, r, apiError{
			status: http.StatusBadRequest, Type: "invalid_request_error", Code: "invalid_request",
			Message: "the form cannot be read",
		})
		return
	}
	next := localPath(r.PostForm.Get("next"))
	if !d.session.isToken(r.PostForm.Get("token")) {
		d.o.Logger.Warn("a login to the dashboard was refused")
		d.render(w, r, http.StatusUnauthorized, "login", loginView{Next: next, Wrong: true})
		return
	}
	d.setCookie(w, r, d.session.value(d.o.Now().Add(cookieLasts)), int(cookieLasts/time.Second))
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (d *Dashboard) logout(w http.ResponseWriter, r *http.Request) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		d.refuse(w, r, crossOrigin)
		return
	}
	d.setCookie(w, r, "", -1)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// setCookie sets the session; a negative age, in seconds, ends it.
func (d *Dashboard) setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
}

// localPath returns text if it leads to a page of ours, else "/".
func localPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(text, "/") ||
		strings.HasPrefix(text, "//") || strings.ContainsAny(text, "\\\r\n\t") || u.Path == "/login" {
		return "/"
	}
	return text
}
