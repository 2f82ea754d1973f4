package packer

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/plan"
)

// wire is an error on its way between processes: its text, what it is by errors.Is,
// and the errors in it that lead to mistakes in the configuration.
type wire struct {
	Text   string   `json:"text"`
	Is     []string `json:"is,omitempty"`
	Config *place   `json:"config,omitempty"` // Text is then of what is wrong, without the place
	Inner  []*wire  `json:"inner,omitempty"`
}

type place struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`
	Path string `json:"path,omitempty"`
	Hint string `json:"hint,omitempty"`
}

var kinds = map[string]error{
	"usage": pipeline.ErrUsage, "no channel": pipeline.ErrNoChannel, "nothing": plan.ErrNothing, "no file": fs.ErrNotExist, "no space": syscall.ENOSPC, "disk quota": syscall.EDQUOT,
}

// What is kept of an error.
const (
	maxText  = 16 << 10 // bytes
	maxInner = 200
	maxDepth = 6
)

func wired(err error, depth int) *wire {
	w := &wire{Text: clip(err.Error())}
	var one *config.Error
	if errors.As(err, &one) && error(one) == err {
		w.Text, w.Config = clip(one.Err.Error()), &place{one.File, one.Line, one.Col, one.Path, one.Hint}
	}
	for name, kind := range kinds {
		if errors.Is(err, kind) {
			w.Is = append(w.Is, name)
		}
	}
	if depth >= maxDepth || w.Config != nil {
		return w
	}
	switch x := err.(type) {
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			if e != nil && len(w.Inner) < maxInner {
				w.Inner = append(w.Inner, wired(e, depth+1))
			}
		}
	case interface{ Unwrap() error }:
		var many config.Errors
		if e := x.Unwrap(); e != nil && (errors.As(e, &one) || errors.As(e, &many)) {
			w.Inner = append(w.Inner, wired(e, depth+1))
		}
	}
	return w
}

func clip(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + " …"
	}
	return text
}

// error makes an error of what came; what leads nowhere is cut off.
func (w *wire) error(depth int) error {
	far := &far{text: clip(w.Text)}
	for _, name := range w.Is {
		if is, ok := kinds[name]; ok {
			far.inner = append(far.inner, is)
		}
	}
	if c := w.Config; c != nil {
		return &config.Error{File: clip(c.File), Line: c.Line, Col: c.Col, Path: clip(c.Path), Hint: clip(c.Hint), Err: far}
	}
	for i, e := range w.Inner {
		if e != nil && i < maxInner && depth < maxDepth {
			far.inner = append(far.inner, e.error(depth+1))
		}
	}
	return far
}

// far is an error of another process.
type far struct {
	text  string
	inner []error
}

func (f *far) Error() string   { return f.text }
func (f *far) Unwrap() []error { return f.inner }
