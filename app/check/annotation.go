package check

import (
	"errors"
	"io/fs"
	"path"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/pipeline/config"
)

// Annotations are the mistakes in the configuration that err holds, each on its
// line, in the order of the file; all of them, however many. They are text and not
// Markdown, without secrets.
func Annotations(err error) []github.Annotation {
	var all []github.Annotation
	for _, e := range configErrors(err) {
		message := e.Err.Error()
		if e.Path != "" {
			message = e.Path + ": " + message
		}
		a := github.Annotation{
			Path: e.File, StartLine: max(1, e.Line), EndLine: max(1, e.Line), StartColumn: max(0, e.Col), EndColumn: max(0, e.Col),
			Level: "failure", Title: "DistroPack", Message: clip(lines(Redact(message)), 4<<10), Details: clip(lines(Redact(e.Hint)), 4<<10),
		}
		// GitHub refuses all of a request for one path that is none of the repository's.
		if a.Path = path.Clean(a.Path); !fs.ValidPath(a.Path) || a.Path == "." {
			a.Path = Config
		}
		if e.Line < 1 {
			a.StartColumn, a.EndColumn = 0, 0
		}
		all = append(all, a)
	}
	return all
}

// Config is the path of a project's configuration.
const Config = "distropack.yml"

// configErrors finds all config.Errors in a tree of errors, each once.
func configErrors(err error) []*config.Error {
	var all []*config.Error
	seen := make(map[*config.Error]bool)
	var walk func(err error)
	walk = func(err error) {
		var e *config.Error
		switch x := err.(type) {
		case nil:
		case *config.Error:
			if e = x; !seen[e] {
				seen[e] = true
				all = append(all, e)
			}
		case interface{ Unwrap() []error }:
			for _, inner := range x.Unwrap() {
				walk(inner)
			}
		default:
			walk(errors.Unwrap(err))
		}
	}
	walk(err)
	return all
}
