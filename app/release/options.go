package release

import (
	"cmp"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/distropack/distropack/app/github"
	formatsall "github.com/distropack/distropack/formats/all"
	destall "github.com/distropack/distropack/publish/dest/all"
	repoall "github.com/distropack/distropack/publish/repo/all"
)

func (o *Options) fill() {
	if o.Formats == nil {
		o.Formats = formatsall.Kinds()
	}
	if o.Repos == nil {
		o.Repos = repoall.Kinds()
	}
	if o.Places == nil {
		o.Places = destall.Kinds()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	if o.Probe == nil {
		o.Probe = o.HTTP
	}
	o.Git = strings.TrimRight(cmp.Or(o.Git, github.Web), "/")
	o.API = strings.TrimRight(cmp.Or(o.API, github.API), "/")
	o.Tool = cmp.Or(o.Tool, "distropack")
	o.Limits.fill()
}
