package pacman

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Guide is pacman's. install.sh keeps the repository in a file of its own that
// pacman.conf includes, so that running it again changes nothing; it refreshes
// this repository alone, because new lists of the distribution without an upgrade
// of all it brings is what Arch calls a partial upgrade.
func (r *Repo) Guide(_ context.Context, in *publish.GuideInput) (*publish.Guide, error) {
	url := cmp.Or(in.URL, r.env.URL)
	if err := checkURL(url); err != nil {
		return nil, err
	}
	if !legalChannel.MatchString(in.Channel) {
		return nil, fmt.Errorf("channel %q: use lower-case letters, digits and . _ -", in.Channel)
	}
	db := r.databaseName(in.Channel)
	conf := "/etc/pacman.d/" + db + ".conf"
	level := "Required"
	switch {
	case r.key == nil:
		level = "Never"
	case !r.checkDB:
		// Not DatabaseOptional: with it a signature of another moment is an error still.
		level = "Required DatabaseNever"
	}
	at := url
	if r.dir != "." {
		at += "/" + strings.NewReplacer("{arch}", "$arch", "{repo}", db).Replace(r.dir)
	}
	section := "[" + db + "]\nSigLevel = " + level + "\nServer = " + at + "\n"
	for _, server := range r.env.Servers {
		server = strings.TrimSuffix(server, "/")
		if err := checkURL(server); err != nil {
			return nil, fmt.Errorf("server of packages: %w", err)
		}
		section += "CacheServer = " + server + "\nServer = " + server + "\n"
	}

	g := &publish.Guide{
		Client:   "pacman",
		Title:    "Arch Linux, Manjaro, EndeavourOS",
		Families: []string{"arch", "archarm", "manjaro", "endeavouros", "cachyos", "garuda", "artix"},
		Probe:    "pacman",
		CPUs:     r.cpus(),
		Files:    []publish.File{{Path: "arch/" + db + ".conf", Class: publish.Pointer, Blob: formats.Bytes([]byte(section))}},
		Install:  []publish.Step{{Command: `sudo pacman -Syu "$PACKAGE"`}},
		Upgrade:  []publish.Step{{Command: "sudo pacman -Syu"}},
		Remove: []publish.Step{
			{Command: `sudo pacman -Rs "$PACKAGE"`},
			{Text: "Forget the repository", Command: `sudo sed -i '\|^Include = ` + conf + `$|d' /etc/pacman.conf && sudo rm ` + conf},
		},
	}
	include := "Include = " + conf
	if r.key != nil {
		keyPath := "keys/" + r.env.Name + ".asc"
		g.Files = append(g.Files, publish.File{Path: keyPath, Class: publish.Pointer, Blob: formats.Bytes(r.key.Data)})
		g.Add = []publish.Step{
			{Text: "Fetch the key", Command: "curl -fsSL " + url + "/" + keyPath + " | sudo pacman-key --add -"},
		}
		for _, id := range strings.Fields(r.key.ID) { // two, while keys are rotated
			g.Add = append(g.Add, publish.Step{Text: "Trust the key " + id, Command: "sudo pacman-key --lsign-key " + id})
		}
		g.Verify = []publish.Step{
			{Text: "Compare the key's fingerprint with " + r.key.ID, Command: "pacman-key --finger " + r.key.ID},
			{Text: "Signatures are required", Command: "pacman-conf --repo " + db + " SigLevel"},
			{Text: "The files of the installed package are as they came", Command: `pacman -Qkk "$PACKAGE"`},
		}
	}
	g.Add = append(g.Add,
		publish.Step{Text: "Add the repository", Command: "sudo curl -fsSL -o " + conf + " " + url + "/arch/" + db + ".conf"},
		publish.Step{Command: `grep -qxF '` + include + `' /etc/pacman.conf || printf '\n%s\n' '` + include + `' | sudo tee -a /etc/pacman.conf`},
	)

	var b strings.Builder
	b.WriteString("run mkdir -p /etc/pacman.d\n")
	if r.key != nil {
		file := "/etc/pacman.d/" + r.env.Name + ".asc"
		b.WriteString("[ -d /etc/pacman.d/gnupg ] || run pacman-key --init\n")
		b.WriteString("put 0644 " + file + " <<'END_OF_KEY'\n" + strings.TrimRight(string(r.key.Data), "\n") + "\nEND_OF_KEY\n")
		b.WriteString("run pacman-key --add " + file + "\n")
		for _, id := range strings.Fields(r.key.ID) {
			b.WriteString("run pacman-key --lsign-key " + id + "\n")
		}
	}
	b.WriteString("put 0644 " + conf + " <<'END_OF_CONF'\n" + section + "END_OF_CONF\n")
	b.WriteString(`run sh -c 'grep -qxF "$1" /etc/pacman.conf || printf "\n%s\n" "$1" >>/etc/pacman.conf' sh '` + include + "'\n")
	// A new container has no lists at all; then there is nothing to be partial to.
	b.WriteString(`if ls /var/lib/pacman/sync/*.db >/dev/null 2>&1; then
	run pacman -Sy --config ` + conf + ` --arch "$(pacman-conf Architecture | head -n 1)"
else
	run pacman -Sy
fi
`)
	g.Setup = b.String()
	g.InstallSh = "run pacman -S --needed --noconfirm \"$@\"\n"
	return g, nil
}

// cpus returns the words of `uname -m` for the platforms.
func (r *Repo) cpus() []string {
	unames := map[string]string{"armv6": "armv6l", "armv7": "armv7l", "ppc64le": "ppc64le", "loong64": "loongarch64"}
	var all []string
	for _, p := range r.env.Platforms {
		if w := cmp.Or(unames[p.CPU()], words[p.CPU()]); w != "" && p.OS == "linux" {
			all = append(all, w)
		}
	}
	return all
}

// checkURL refuses what would need quoting in a shell or in pacman.conf, where
// $repo and $arch are replaced.
func checkURL(url string) error {
	if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") || strings.HasSuffix(url, "/") {
		return fmt.Errorf("url %q: use http or https, and no slash at the end", url)
	}
	for _, c := range url {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune(":/.-_~%+,=@", c)) {
			return fmt.Errorf("url %q has the character %q: write it percent-encoded", url, c)
		}
	}
	return nil
}
