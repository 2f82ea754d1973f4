package nfpm

import (
	"context"
	"errors"
	"io"

	"github.com/distropack/distropack/formats"
)

// Engine returns f with nFPM as its writer, for projects that want the very
// packages nFPM makes: "engine: nfpm". Names and reading back stay f's. What nFPM
// would leave out without a word is refused.
func Engine(f formats.Format, sign formats.Signer) formats.Format { return engine{f, sign} }

type engine struct {
	formats.Format
	sign formats.Signer
}

func (e engine) Write(ctx context.Context, w io.Writer, spec *formats.Spec, p formats.Platform, files []formats.File) error {
	switch {
	case len(spec.Services) > 0:
		return errors.New("engine nfpm knows no services: write their handling into scripts, or leave engine out")
	case len(spec.PreDepends) > 0 && e.Name() == "rpm":
		return errors.New("engine nfpm knows no predepends for rpm: leave engine out")
	}
	return Write(ctx, w, e.Name(), spec, p, files, e.sign)
}
