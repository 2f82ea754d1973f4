package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Expect names what clients are to see before a wait ends. The zero Expect is
// met by any tree without errors.
type Expect struct {
	Packages []Expected
	Serial   int64 // install.json's is this or higher; 0: any
}

// Expected is a version of a package in the index of a client.
type Expected struct {
	Client  string // "apt"; "" means any one
	Path    string // of the repository, as in ClientReport.Path; "" means any one
	Name    string
	Version string // the client's form ("1.2.0-1"), or that without its release ("1.2.0")
}

func (e Expected) String() string {
	s := e.Name + " " + e.Version
	if e.Client != "" {
		s += " for " + e.Client
	}
	if e.Path != "" {
		s += " in " + e.Path
	}
	return s
}

// matches reports whether a package is the expected one. Revisions follow a
// hyphen in every format ("-1", "-r1"), as parts of a pre-release do, which no
// client's form of a version has.
func (e Expected) matches(client, at, name, version string) bool {
	if e.Client != "" && e.Client != client || e.Path != "" && e.Path != at || !strings.EqualFold(e.Name, name) {
		return false
	}
	_, noEpoch, found := strings.Cut(version, ":")
	if !found {
		noEpoch = version
	}
	base := noEpoch
	if i := strings.LastIndexByte(noEpoch, '-'); i >= 0 && isRelease(noEpoch[i+1:]) {
		base = noEpoch[:i]
	}
	return e.Version == version || e.Version == noEpoch || e.Version == base
}

// isRelease tells a release ("1", "r1") from a part of a version.
func isRelease(s string) bool {
	s = strings.TrimPrefix(s, "r")
	return s != "" && strings.Trim(s, "0123456789.") == ""
}

// Pauses between two looks, each twice the one before.
const (
	firstPause = 2 * time.Second
	lastPause  = time.Minute
)

// Wait looks at a tree again and again until every client would succeed and sees
// what is expected, or ctx ends. pause waits; it returns early with ctx's error.
// The time of Options.Now goes on by the pauses alone.
//
// After an error the Report is that of the last look, nil if there was none that
// saw anything; the error says what was still missing.
func Wait(ctx context.Context, o Options, until Expect, pause func(context.Context, time.Duration) error) (*Report, error) {
	if pause == nil {
		return nil, errors.New("there is nothing to wait with: pause is nil")
	}
	var last *Report
	lack := "nothing was looked at yet"
	for wait := firstPause; ; wait = min(2*wait, lastPause) {
		seen := make([]bool, len(until.Packages))
		var mu sync.Mutex
		rep, err := look(ctx, o, func(t *target, name, version string) {
			mu.Lock()
			defer mu.Unlock()
			for i, e := range until.Packages {
				seen[i] = seen[i] || e.matches(t.Client, t.Path, name, version)
			}
		})
		if ctx.Err() == nil {
			last = rep
			if lack = lacking(rep, err, until, seen); lack == "" {
				return rep, nil
			}
			if errors.Is(err, ErrCall) {
				return nil, err
			}
		}
		if err := pause(ctx, wait); err != nil {
			return last, fmt.Errorf("%s (%w)", lack, err)
		}
		o.Now = o.Now.Add(wait)
	}
}

// ErrCall says that Options are wrong, which neither the tree nor waiting changes.
var ErrCall = errors.New("the call can't succeed")

// lacking says what is still missing; "" if nothing is.
func lacking(rep *Report, err error, until Expect, seen []bool) string {
	if err != nil {
		return err.Error()
	}
	var lacks []string
	if until.Serial > rep.Serial {
		lacks = append(lacks, fmt.Sprintf("the tree's serial is %d, %d is expected", rep.Serial, until.Serial))
	}
	for i, e := range until.Packages {
		if !seen[i] {
			lacks = append(lacks, e.String()+" is not listed")
		}
	}
	bad := 0
	for _, f := range rep.Findings {
		if f.Severity != Error {
			continue
		}
		if bad++; bad <= 3 {
			lacks = append(lacks, f.Path+": "+f.Text)
		}
	}
	if bad > 3 {
		lacks = append(lacks, fmt.Sprintf("and %d more errors", bad-3))
	}
	return strings.Join(lacks, "; ")
}
