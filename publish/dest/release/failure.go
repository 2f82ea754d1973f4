package release

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"
)

// LimitError says that the host takes no more requests for longer than
// Options.MaxWait. Nothing was lost: the same call goes on later.
type LimitError struct {
	Host string
	Wait time.Duration // from the host's answer on
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s takes no more requests for %s: run again then", e.Host, e.Wait.Round(time.Second))
}

// failure is what the host had against a request, or what kept it from answering.
type failure struct {
	host   string
	repo   string
	what   string // was to be done
	status int    // 0: no answer
	broke  bool   // there was an answer, but not a whole one
	naked  bool   // no token was sent
	text   string // the host's message, without secrets
	fields []github.Error
}

func (f *failure) Error() string {
	said := ""
	if f.text != "" {
		said = fmt.Sprintf(" (%s says %q)", f.host, f.text)
	}
	switch s := f.status; {
	case f.broke:
		return fmt.Sprintf("%s: the answer of %s is broken: %s", f.what, f.host, f.text)
	case s == 0:
		return fmt.Sprintf("%s: %s gave no answer: %s", f.what, f.host, f.text)
	case s == http.StatusUnauthorized && f.naked:
		return fmt.Sprintf("%s: %s wants a token, and there is none: give one with the permission contents: write for %s", f.what, f.host, f.repo)
	case s == http.StatusUnauthorized:
		return fmt.Sprintf("%s: %s refuses the token: it is wrong, has expired or was revoked. Make a new one", f.what, f.host)
	case s == http.StatusForbidden:
		return fmt.Sprintf("%s: the token may not%s: it needs the permission contents: write for %s", f.what, said, f.repo)
	case s == http.StatusNotFound:
		return fmt.Sprintf("%s: not found: there is no such thing in %s, or the token may not see it", f.what, f.repo)
	case s >= 300 && s < 400:
		return fmt.Sprintf("%s: %s leads to another host, and the token stays here: check the API's URL", f.what, f.host)
	case s >= 500:
		return fmt.Sprintf("%s: %s has trouble (status %d): run again later", f.what, f.host, s)
	case f.is("tag_name", "immutable"):
		return fmt.Sprintf("%s: the tag was used by an immutable release before and is locked for ever: make a new tag", f.what)
	}
	var more []string
	for _, e := range f.fields {
		more = append(more, strings.TrimSpace(e.Resource+"."+e.Field+" "+e.Code+" "+e.Message))
	}
	if more != nil {
		said += ": " + strings.Join(more, ", ")
	}
	return fmt.Sprintf("%s: refused with status %d%s", f.what, f.status, said)
}

// is reports whether the host blames a field with a code, or with a message that
// has the word.
func (f *failure) is(field, word string) bool {
	for _, e := range f.fields {
		if e.Field == field && (e.Code == word || strings.Contains(e.Message, word)) {
			return true
		}
	}
	return false
}

// status is the status of the host's refusal; 0 where err is none.
func status(err error) int {
	var f *failure
	if errors.As(err, &f) {
		return f.status
	}
	return 0
}

// broken reports whether a request may or may not have been carried out.
func broken(err error) bool {
	var f *failure
	return errors.As(err, &f) && (f.status == 0 || f.status >= 500)
}

// Temporary reports whether the same request may succeed later with nothing changed:
// callers find it by errors.As.
func (f *failure) Temporary() bool { return f.broke || f.status == 0 || f.status >= 500 }

// failed makes a failure of what go-github returned.
func (p *Place) failed(what string, res *github.Response, err error) *failure {
	f := &failure{host: p.api.Host, repo: p.o.Owner + "/" + p.o.Repo, what: what}
	if res != nil && res.Response != nil {
		f.status = res.StatusCode
		f.naked = res.Request != nil && res.Request.Header.Get("Authorization") == ""
	}
	var refused *github.ErrorResponse
	var primary *github.RateLimitError
	var secondary *github.AbuseRateLimitError
	var wrapped *url.Error
	switch {
	case errors.As(err, &refused):
		f.text, f.fields = refused.Message, refused.Errors
	case errors.As(err, &primary):
		f.text = primary.Message
	case errors.As(err, &secondary):
		f.text = secondary.Message
	case errors.As(err, &wrapped):
		f.text = wrapped.Err.Error() // without the URL
	default:
		f.text = err.Error()
		f.status = 0
	}
	f.text = p.secrets.hide(f.text)
	for i := range f.fields {
		f.fields[i].Message = p.secrets.hide(f.fields[i].Message)
	}
	return f
}

// secrets knows the tokens that were used.
type secrets struct {
	mu    sync.Mutex
	known []string
}

func (s *secrets) add(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.known {
		if k == token {
			return
		}
	}
	s.known = append(s.known, token)
}

var tokenLike = regexp.MustCompile(`(gh[a-z]|github_pat)_[A-Za-z0-9_.\-]{20,}`)

// query is what follows the ? of an address: that of a download is signed.
var query = regexp.MustCompile(`(/[^\s"?]*\?)[^\s"]+`)

// hide returns at most 300 bytes of a text, without tokens and queries.
func (s *secrets) hide(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.known {
		text = strings.ReplaceAll(text, k, "[secret]")
	}
	text = query.ReplaceAllString(tokenLike.ReplaceAllString(text, "[secret]"), "${1}[secret]")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}
