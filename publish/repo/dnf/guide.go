package dnf

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Guides returns one guide per client that reads the repository: dnf, zypper.
func (r *Repo) Guides(ctx context.Context, in *publish.GuideInput) ([]*publish.Guide, error) {
	d, err := r.Guide(ctx, in)
	if err != nil {
		return nil, err
	}
	z, err := r.ZypperGuide(ctx, in)
	if err != nil {
		return nil, err
	}
	return []*publish.Guide{d, z}, nil
}

// Guide is dnf's, and yum's where dnf is not there yet.
func (r *Repo) Guide(_ context.Context, in *publish.GuideInput) (*publish.Guide, error) {
	c, err := r.client(in, "rpm/", nil)
	if err != nil {
		return nil, err
	}
	file := "/etc/yum.repos.d/" + c.id + ".repo"
	g := &publish.Guide{
		Client:   "dnf",
		Title:    "Fedora, RHEL, Rocky, AlmaLinux, Amazon Linux",
		Families: []string{"fedora", "rhel", "centos", "rocky", "almalinux", "ol", "amzn", "mageia", "openmandriva"},
		Probe:    "dnf",
		CPUs:     c.cpus,
		Files:    c.files,
		Install:  []publish.Step{{Command: `sudo dnf install "$PACKAGE"`}},
		Upgrade:  []publish.Step{{Command: `sudo dnf upgrade --refresh "$PACKAGE"`}},
		Remove: []publish.Step{
			{Command: `sudo dnf remove "$PACKAGE"`},
			{Text: "Forget the repository", Command: "sudo rm " + file},
		},
	}
	if r.key != nil {
		g.Add = append(g.Add, publish.Step{Text: "Trust the key " + r.key.ID, Command: "sudo rpm --import " + c.keyURL})
	}
	g.Add = append(g.Add, publish.Step{Text: "Add the repository", Command: "sudo curl -fsSL -o " + file + " " + c.fileURL})
	g.Verify = c.verify(file)

	// Fetching the index at once shows a wrong signature here, and not as a
	// package that can't be found.
	g.Setup = c.setup(file) + `if command -v dnf >/dev/null 2>&1; then
	run dnf -y --repo=` + c.id + ` --refresh makecache
fi
`
	g.InstallSh = `if command -v dnf >/dev/null 2>&1; then
	run dnf -y install "$@"
else
	run yum -y install "$@"
fi
`
	return g, nil
}

// ZypperGuide is openSUSE's. The key is imported by hand first: zypper's
// --gpg-auto-import-keys would trust whatever key lies beside the index.
//
// Packages that lie elsewhere: zypper 1.14 does not look at xml:base, and asks
// each address of baseurl in turn for the file. So where there are Servers zypper
// has a .repo file of its own that lists them, after the tree. dnf's does not: with
// fastestmirror it would look for the index there first.
func (r *Repo) ZypperGuide(_ context.Context, in *publish.GuideInput) (*publish.Guide, error) {
	folder := "rpm/"
	if len(r.env.Servers) > 0 {
		folder = "rpm/zypper/"
	}
	c, err := r.client(in, folder, r.env.Servers)
	if err != nil {
		return nil, err
	}
	file := "/etc/zypp/repos.d/" + c.id + ".repo"
	g := &publish.Guide{
		Client:   "zypper",
		Title:    "openSUSE, SUSE Linux Enterprise",
		Families: []string{"opensuse-tumbleweed", "opensuse-leap", "opensuse", "sles", "sled", "suse"},
		Probe:    "zypper",
		CPUs:     c.cpus,
		Files:    c.files,
		Install:  []publish.Step{{Command: `sudo zypper install "$PACKAGE"`}},
		Upgrade:  []publish.Step{{Command: `sudo zypper refresh ` + c.id + ` && sudo zypper update "$PACKAGE"`}},
		Remove: []publish.Step{
			{Command: `sudo zypper remove "$PACKAGE"`},
			{Text: "Forget the repository", Command: "sudo zypper removerepo " + c.id},
		},
	}
	if r.key != nil {
		g.Add = append(g.Add, publish.Step{Text: "Trust the key " + r.key.ID, Command: "sudo rpm --import " + c.keyURL})
	}
	g.Add = append(g.Add,
		publish.Step{Text: "Add the repository", Command: "sudo zypper addrepo --refresh " + c.fileURL},
		publish.Step{Command: "sudo zypper refresh " + c.id},
	)
	g.Verify = c.verify(file)

	g.Setup = c.setup(file) + "run zypper --non-interactive refresh " + c.id + "\n"
	g.InstallSh = "run zypper --non-interactive install \"$@\"\n"
	return g, nil
}

// client is what both guides say.
type client struct {
	repo            *Repo
	id              string // of the repository on people's machines
	file            string // the .repo file's text
	fileURL, keyURL string
	files           []publish.File
	cpus            []string
}

// stable is the channel whose repository bears the bare name.
const stable = "stable"

// client says where the .repo file lies in the tree, and which addresses besides
// the tree's it names.
func (r *Repo) client(in *publish.GuideInput, folder string, servers []string) (*client, error) {
	url := cmp.Or(in.URL, r.env.URL)
	if err := checkURL(url); err != nil {
		return nil, err
	}
	more := ""
	for _, server := range servers {
		server = strings.TrimSuffix(server, "/")
		if err := checkURL(server); err != nil {
			return nil, fmt.Errorf("server of packages: %w", err)
		}
		more += "        " + server + "/\n"
	}
	if !legalChannel.MatchString(in.Channel) {
		return nil, fmt.Errorf("channel %q: use lower-case letters, digits and . _ -", in.Channel)
	}
	id, title := r.env.Name, cmp.Or(in.Title, r.env.Title, r.env.Name)
	if in.Channel != stable {
		id, title = id+"-"+in.Channel, title+" ("+in.Channel+")"
	}
	c := &client{repo: r, id: id, cpus: r.cpus()}
	keyPath := "keys/" + r.env.Name + ".asc"
	filePath := folder + id + ".repo"
	c.fileURL, c.keyURL = url+"/"+filePath, url+"/"+keyPath

	check, keyLine := "0", ""
	if r.key != nil {
		check, keyLine = "1", "gpgkey="+c.keyURL+"\n"
		c.files = append(c.files, publish.File{Path: keyPath, Class: publish.Pointer, Blob: formats.Bytes(r.key.Data)})
	}
	// Debian's and others' dnf.conf skip a repository whose signature is wrong
	// without an error; zypper would not refresh by itself.
	c.file = "[" + id + "]\n" +
		"name=" + oneLine(title) + "\n" +
		"baseurl=" + url + "/" + slashed(strings.ReplaceAll(r.pattern(in.Channel), "{arch}", "$basearch")) + "\n" + more +
		"type=rpm-md\n" +
		"enabled=1\n" +
		"gpgcheck=" + check + "\n" +
		"repo_gpgcheck=" + check + "\n" +
		keyLine +
		"skip_if_unavailable=0\n" +
		"metadata_expire=1h\n" +
		"autorefresh=1\n"
	c.files = append(c.files, publish.File{Path: filePath, Class: publish.Pointer, Blob: formats.Bytes([]byte(c.file))})
	return c, nil
}

// setup writes the key and the .repo file, which names that key. Both stand in
// install.sh itself: who has read it knows what will be trusted.
func (c *client) setup(file string) string {
	var b strings.Builder
	text := c.file
	if key := c.repo.key; key != nil {
		// dnf -y trusts whatever key lies at gpgkey, at any later time: at an
		// address, whoever takes the server over would be trusted.
		path := "/etc/pki/rpm-gpg/RPM-GPG-KEY-" + c.repo.env.Name
		b.WriteString("run mkdir -p /etc/pki/rpm-gpg\n")
		b.WriteString("put 0644 " + path + " <<'END_OF_KEY'\n" + strings.TrimRight(string(key.Data), "\n") + "\nEND_OF_KEY\n")
		b.WriteString("run rpm --import " + path + "\n")
		text = strings.Replace(text, "gpgkey="+c.keyURL+"\n", "gpgkey=file://"+path+"\n", 1)
	}
	b.WriteString("put 0644 " + file + " <<'END_OF_REPO'\n" + text + "END_OF_REPO\n")
	return b.String()
}

func (c *client) verify(file string) []publish.Step {
	key := c.repo.key
	if key == nil {
		return nil
	}
	return []publish.Step{
		{Text: "Compare the key's fingerprint with " + key.ID, Command: "curl -fsSL " + c.keyURL + " | gpg --show-keys --with-fingerprint"},
		{Text: "Both checks are on: gpgcheck=1 and repo_gpgcheck=1", Command: "grep gpgcheck " + file},
		{Text: "The installed package was signed, and its files are as they came", Command: `rpm -qi "$PACKAGE" | grep Signature; rpm -V "$PACKAGE"`},
	}
}

// cpus returns the words of `uname -m` for the platforms.
func (r *Repo) cpus() []string {
	words := map[string][]string{
		"amd64": {"x86_64"}, "arm64": {"aarch64"}, "armv6": {"armv6l"}, "armv7": {"armv7l"}, "386": {"i386", "i586", "i686"},
		"riscv64": {"riscv64"}, "ppc64le": {"ppc64le"}, "s390x": {"s390x"}, "loong64": {"loongarch64"},
	}
	var all []string
	for _, p := range r.env.Platforms {
		if p.OS == "linux" {
			all = append(all, words[p.CPU()]...)
		}
	}
	return all
}

// oneLine makes s fit into a line of an ini file.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
}

// checkURL refuses what would need quoting in a shell or an ini file; dnf and
// zypper put values in place of $words.
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
