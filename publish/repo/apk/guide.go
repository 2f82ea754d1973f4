package apk

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/internal/cpu"
)

// Guide is for Alpine Linux.
func (r *Repo) Guide(ctx context.Context, in *publish.GuideInput) (*publish.Guide, error) {
	return r.guide(in, "Alpine Linux and postmarketOS", "/etc/apk/repositories", "alpine", "postmarketos")
}

// Guides is for all systems that have apk: Alpine, and OpenWrt since 25.12, whose
// upgrades keep another file than Alpine's.
func (r *Repo) Guides(ctx context.Context, in *publish.GuideInput) ([]*publish.Guide, error) {
	alpine, err := r.Guide(ctx, in)
	if err != nil {
		return nil, err
	}
	openwrt, err := r.guide(in, "OpenWrt 25.12 and later", "/etc/apk/repositories.d/customfeeds.list", "openwrt", "lede")
	if err != nil {
		return nil, err
	}
	openwrt.Files = nil // Alpine's guide brings the key
	return []*publish.Guide{alpine, openwrt}, nil
}

func (r *Repo) guide(in *publish.GuideInput, title, list string, families ...string) (*publish.Guide, error) {
	if !slices.Contains(r.env.Channels, in.Channel) {
		return nil, fmt.Errorf("channel %q is not published here (channels: %s)", in.Channel, strings.Join(r.env.Channels, " "))
	}
	if !urlForm.MatchString(in.URL) {
		return nil, fmt.Errorf("url %q can't stand in %s: use http or https, and letters, digits and . _ ~ : / @ + , = - only", in.URL, list)
	}
	line := in.URL + "/apk/" + in.Channel
	g := &publish.Guide{
		Client:   "apk",
		Title:    title,
		Families: families,
		Probe:    "apk",
	}
	for _, c := range r.cpus {
		g.CPUs = append(g.CPUs, cpu.Machines[c.Platform.CPU()]...)
	}
	trust := " --allow-untrusted"
	remove := fmt.Sprintf("sed -i '\\|^%s$|d' %s", strings.ReplaceAll(line, ".", `\.`), list)
	var setup strings.Builder
	if r.key != nil {
		trust = ""
		at := "/etc/apk/keys/" + r.key.Name
		g.Files = []publish.File{{Path: "keys/" + r.key.Name, Class: publish.Pointer, Blob: formats.Bytes(r.key.Data)}}
		g.Add = append(g.Add, publish.Step{
			Text:    "Fetch the key; apk finds it by this file name",
			Command: fmt.Sprintf("wget -O %s %s/keys/%s", at, in.URL, r.key.Name),
		})
		g.Verify = []publish.Step{
			{
				Text:    "Shows the key's id: " + r.key.ID,
				Command: fmt.Sprintf("openssl pkey -pubin -in %s -outform DER | sha256sum | cut -c 1-%d", at, len(r.key.ID)),
			},
			{
				Text:    "apk takes no index that no key signed; this shows which key it asks for, in the first line",
				Command: fmt.Sprintf("wget -qO- %s/$(apk --print-arch)/APKINDEX.tar.gz | tar -tz", line),
			},
		}
		remove += " && rm -f " + at
		fmt.Fprintf(&setup, "fetch \"$URL/keys/%s\" %s\n", r.key.Name, at)
	}
	g.Add = append(g.Add,
		publish.Step{Text: "Add the repository", Command: fmt.Sprintf("echo %s >> %s", line, list)},
		publish.Step{Command: "apk update" + trust},
	)
	g.Install = []publish.Step{{Command: "apk add" + trust + " $PACKAGE"}}
	g.Upgrade = []publish.Step{{Command: "apk update" + trust + " && apk add" + trust + " --upgrade $PACKAGE"}}
	g.Remove = []publish.Step{{Command: "apk del $PACKAGE"}, {Text: "And the repository", Command: remove}}
	// The file may end without a newline; what stands in it is left alone.
	fmt.Fprintf(&setup, `if ! grep -qxF "$URL/apk/%[1]s" %[2]s 2>/dev/null; then
	# shellcheck disable=SC2016 # the inner shell expands it
	run sh -c '{ [ -z "$(tail -c 1 "$2" 2>/dev/null)" ] || echo; echo "$1"; } >>"$2"' sh "$URL/apk/%[1]s" %[2]s
fi
run apk update%[3]s
`, in.Channel, list, trust)
	g.Setup = setup.String()
	g.InstallSh = "run apk add" + trust + " \"$@\"\n"
	return g, nil
}

// urlForm is what may stand in a command and in a list of repositories as it is.
var urlForm = regexp.MustCompile(`^https?://[A-Za-z0-9._~:/@+,=-]+$`)
