package github

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"
)

// What an *Error may be, for errors.Is.
var (
	ErrNotFound       = errors.New("not found")              // or not to be seen by who asks
	ErrForbidden      = errors.New("not allowed")            // a permission is missing, or the feature is off
	ErrSuspended      = errors.New("installation suspended") // by its owner, until they take that back
	ErrNoInstallation = errors.New("not installed")          // any more; is ErrNotFound too
	ErrRefused        = errors.New("credentials refused")    // the App's key, a person's token or a code
	ErrTooLarge       = errors.New("too large")              // a file, for the limit that was given
)

// Limit says that GitHub takes no more requests for now. Nothing was lost: the
// same call goes on later.
type Limit struct {
	Until   time.Time // by our clock
	Subject string    // who asked: "installation 42"
}

func (e *Limit) Error() string {
	return fmt.Sprintf("%s: GitHub takes no more requests until %s: try again then", e.Subject, e.Until.UTC().Format(time.RFC3339))
}

// Error is what GitHub had against a request, or what kept it from answering.
type Error struct {
	Subject string // what was asked for, and of what: `acme/hello: tag "v1"`
	Host    string // of the API
	Status  int    // of the answer; 0: none came, or not a whole one
	Message string // GitHub's words, without secrets; may be ""
	Advice  string // what to do

	kind error // of those above; nil: none
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Subject + ": ")
	switch {
	case e.Status == 0:
		fmt.Fprintf(&b, "%s gave no whole answer", e.Host)
	case e.kind != nil:
		fmt.Fprintf(&b, "%v (status %d)", e.kind, e.Status)
	default:
		fmt.Fprintf(&b, "%s answers with status %d", e.Host, e.Status)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ", %q", e.Message)
	}
	if e.Advice != "" {
		b.WriteString(": " + e.Advice)
	}
	return b.String()
}

// Is reports whether the error is of a kind.
func (e *Error) Is(target error) bool {
	return e.kind != nil && (target == e.kind || target == ErrNotFound && e.kind == ErrNoInstallation)
}

// Temporary reports whether the same request may succeed later with nothing
// changed: no answer came, or one of 500 and above.
func (e *Error) Temporary() bool { return e.Status == 0 || e.Status >= 500 }

// Temporary reports whether err passes by itself: a limit, or trouble at GitHub or
// on the way there.
func Temporary(err error) bool {
	var l *Limit
	return errors.As(err, &l) || broken(err)
}

// broken reports whether a request may or may not have been carried out.
func broken(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Temporary()
}

// failed makes an Error of what go-github returned.
func (q *request) failed(host string, res *http.Response, err error, secrets []string) *Error {
	e := &Error{Subject: q.what, Host: host}
	var refused *github.ErrorResponse
	var wrapped *url.Error
	switch {
	case errors.As(err, &refused):
		e.Message = refused.Message
		for _, f := range refused.Errors {
			e.Message += "; " + strings.Join(strings.Fields(f.Resource+" "+f.Field+" "+f.Code+" "+f.Message), " ")
		}
	case errors.As(err, &wrapped):
		e.Message = wrapped.Err.Error() // without the URL
	case err != nil:
		e.Message = err.Error()
	}
	e.Message = hide(e.Message, secrets)
	if res != nil {
		e.Status = res.StatusCode
	}
	e.judge(q)
	return e
}

// judge says what kind of error it is and what to do.
func (e *Error) judge(q *request) {
	suspended := strings.Contains(strings.ToLower(e.Message), "suspended")
	switch s := e.Status; {
	case s == 0:
		e.Advice = "check the network and the API's address, and try again"
	case s == http.StatusUnauthorized && q.asApp:
		e.kind, e.Advice = ErrRefused, "the App's id and private key must belong together, the key may have been deleted, and this machine's clock must be right"
	case s == http.StatusUnauthorized:
		e.kind, e.Advice = ErrRefused, "the token has expired or was revoked: sign in again"
	case s == http.StatusForbidden && suspended:
		e.kind, e.Advice = ErrSuspended, "the owner of the account can lift the suspension in its settings, below Applications"
	case s == http.StatusForbidden || s == http.StatusGone:
		e.kind, e.Advice = ErrForbidden, "a permission of the App is missing or not accepted yet (in the account's settings, below Applications), or the feature is switched off"
		if q.needs != "" {
			e.Advice = "it needs the permission " + q.needs + ", which the account's owner accepts in its settings below Applications, and the feature must be switched on"
		}
	case s == http.StatusNotFound && q.minting:
		e.kind, e.Advice = ErrNoInstallation, "install the App again"
	case s == http.StatusNotFound:
		e.kind, e.Advice = ErrNotFound, "there is no such thing, or the App may not see it: check the repositories it is installed on"
	case s == http.StatusUnprocessableEntity && q.minting && strings.Contains(e.Message, "permissions"):
		e.kind, e.Advice = ErrForbidden, "the account's owner accepts the App's permissions in its settings, below Applications"
	case s == http.StatusUnprocessableEntity && q.minting:
		e.kind, e.Advice = ErrNotFound, "add the repository to the App's installation"
	case s >= 300 && s < 400:
		e.Advice = "the answer leads to another host, and the token stays here: check the API's address"
	case s >= 500:
		e.Advice = "GitHub has trouble: try again later"
	}
}

// tokenLike are GitHub's tokens, which have any length and dots, and proofs.
var tokenLike = regexp.MustCompile(`(gh[a-z]|github_pat)_[A-Za-z0-9_.\-]{20,}|eyJ[A-Za-z0-9_\-]{5,}\.[A-Za-z0-9_\-]*\.?[A-Za-z0-9_\-]*`)

// query is what follows the ? of an address: it may be signed.
var query = regexp.MustCompile(`(/[^\s"?]*\?)[^\s"]+`)

// Redact returns a text without GitHub's tokens and without the queries of
// addresses.
func Redact(text string) string {
	return query.ReplaceAllString(tokenLike.ReplaceAllString(text, "[secret]"), "${1}[secret]")
}

// hide returns at most 300 bytes of a text, without tokens, queries and secrets.
func hide(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[secret]")
		}
	}
	text = Redact(text)
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}
