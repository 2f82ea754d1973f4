package githubtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Fault is what goes wrong with a request; the zero value is nothing.
type Fault struct {
	Done   bool        // the request is carried out all the same
	Status int         // the answer's status; 0: as it would have been
	Header http.Header // of that answer
	Body   string      // of that answer
	Cut    bool        // the connection ends without an answer
	// Stop ends an upload after so many bytes have come: the connection is cut and
	// an asset in the state "starter" stays.
	Stop int64
}

func (f Fault) hits() bool { return f.Status != 0 || f.Cut || f.Stop > 0 }

// Cut ends the connection before or after the request was carried out.
func Cut(done bool) Fault { return Fault{Cut: true, Done: done} }

// Broken answers with a status of 500 and above, as a proxy words it, before or
// after the request was carried out.
func Broken(status int, done bool) Fault {
	return Fault{Status: status, Done: done, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html><h1>" + http.StatusText(status) + "</h1></html>"}
}

// SecondaryLimit is the answer to too many requests in a short time.
func SecondaryLimit(wait time.Duration) Fault {
	f := limited(http.StatusForbidden, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.", "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits")
	f.Header.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	return f
}

// TooMany is the same with the other status GitHub has for it.
func TooMany(wait time.Duration) Fault {
	f := SecondaryLimit(wait)
	f.Status = http.StatusTooManyRequests
	return f
}

// PrimaryLimit is the answer when no requests are left until reset.
func PrimaryLimit(reset time.Time) Fault {
	f := limited(http.StatusForbidden, "API rate limit exceeded for installation ID 1.", "https://docs.github.com/rest/overview/resources-in-the-rest-api#rate-limiting")
	f.Header.Set("X-Ratelimit-Remaining", "0")
	f.Header.Set("X-Ratelimit-Reset", fmt.Sprint(reset.Unix()))
	return f
}

func limited(status int, message, doc string) Fault {
	b, _ := json.Marshal(map[string]string{"message": message, "documentation_url": doc}) // strings always marshal
	return Fault{Status: status, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, Body: string(b)}
}
