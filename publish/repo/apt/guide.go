package apt

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/deb"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/internal/cpu"
)

// address is what a line of a source can hold.
var address = regexp.MustCompile(`^https?://[A-Za-z0-9._~:/@+,=%-]+$`)

// Guide implements publish.Repo: a deb822 file with the key embedded, so that the
// key is trusted for this repository alone, and a one-line file for apt before
// 2.3.10 with the key beside it. Where the servers hold flat suites both have a
// source for each of them as well. Its suite is "/" and not "./": apt would ask for /./InRelease,
// which not every server takes for /InRelease.
func (r *Repo) Guide(ctx context.Context, in *publish.GuideInput) (*publish.Guide, error) {
	suite := r.suites[in.Channel]
	if suite == "" {
		return nil, fmt.Errorf("apt: there is no channel %q", in.Channel)
	}
	file := r.env.Name
	if in.Channel != r.env.Channels[0] {
		file += "-" + in.Channel
	}
	uri, component := in.URL, r.components[in.Channel]
	if r.dir != "" {
		uri += "/" + r.dir
	}
	sources := fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\n", uri, suite, component)
	keyring := "/etc/apt/keyrings/" + r.env.Name + ".asc"
	option := "[signed-by=" + keyring + "] "
	trust := "Trusted: yes\n"
	if r.env.Key == "" {
		option = "[trusted=yes] "
	} else {
		pub, err := r.env.Keys.Public(r.env.Key, formats.OpenPGP)
		if err != nil {
			return nil, err
		}
		trust = "Signed-By:\n"
		for _, l := range strings.Split(strings.TrimRight(string(pub.Data), "\n"), "\n") {
			if l == "" {
				l = "."
			}
			trust += " " + l + "\n"
		}
	}
	sources += trust
	list := fmt.Sprintf("deb %s%s %s %s\n", option, uri, suite, component)
	if r.env.Flat {
		for _, server := range r.env.Servers {
			server = slashed(server)
			if !address.MatchString(server) {
				return nil, fmt.Errorf("apt: server %q: use http or https, and percent-encode what is not a letter, a digit or one of . _ ~ : / @ + , = -", server)
			}
			sources += "\n# Packages that are too large for the above.\nTypes: deb\nURIs: " + server + "\nSuites: /\n" + trust
			list += "deb " + option + server + " /\n"
		}
	}
	if r.env.Key != "" {
		list = fmt.Sprintf("# For apt before 2.4, which reads no .sources with a key in them. The key:\n# sudo curl -fsSL -o %s %s/keys/%s.asc\n", keyring, in.URL, r.env.Name) + list
	}
	at := "/etc/apt/sources.list.d/" + file + ".sources"
	g := &publish.Guide{
		Client:   "apt",
		Title:    "Debian, Ubuntu and derivatives",
		Families: []string{"debian", "ubuntu"},
		Probe:    "apt-get",
		Files: []publish.File{
			{Path: "apt/" + file + ".sources", Class: publish.Pointer, Blob: formats.Bytes([]byte(sources))},
			{Path: "apt/" + file + ".list", Class: publish.Pointer, Blob: formats.Bytes([]byte(list))},
		},
		Add: []publish.Step{
			{Text: "Add the repository; the file holds the key, which counts for this repository alone",
				Command: fmt.Sprintf("sudo curl -fsSL -o %s %s/apt/%s.sources", at, in.URL, file)},
			{Command: "sudo apt-get update"},
		},
		Install: []publish.Step{{Command: "sudo apt-get install $PACKAGE"}},
		Upgrade: []publish.Step{{Command: "sudo apt-get update && sudo apt-get install --only-upgrade $PACKAGE"}},
		Remove:  []publish.Step{{Command: "sudo apt-get remove $PACKAGE"}, {Text: "And the repository", Command: "sudo rm " + at}},
		Setup: fmt.Sprintf(`fetch "$URL/apt/%s.sources" %s
run apt-get update`, file, at),
		InstallSh: `if [ -n "$YES" ]; then
	run env DEBIAN_FRONTEND=noninteractive apt-get install -y "$@"
else
	run apt-get install "$@"
fi`,
	}
	for _, p := range r.env.Platforms {
		if _, ok := deb.Arch(p); ok {
			g.CPUs = append(g.CPUs, cpu.Machines[p.CPU()]...)
		}
	}
	if r.env.Key != "" {
		g.Verify = []publish.Step{{Text: "Each index is signed and names each package by SHA-256; this shows by which key", Command: fmt.Sprintf("curl -fsSL %s/dists/%s/InRelease | gpg --verify", uri, suite)}}
	}
	return g, nil
}

// slashed ends an address in a slash.
func slashed(server string) string { return strings.TrimSuffix(server, "/") + "/" }
