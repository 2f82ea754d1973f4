package site

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

const sampleURL = "https://packages.example.org/hello"

// sample is a project with two channels, three packages and all clients.
func sample() *Input {
	at := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	in := &Input{
		Name: "hello", Title: "Hello", License: "MIT", Homepage: "https://hello.example.org/",
		Description: "Greets people, servers and whole fleets, quickly and in their own language.\n\nOne static binary without dependencies,\nfor servers, desktops and routers alike.",
		URL:         sampleURL, At: at, Serial: 42,
		Channels: []string{"stable", "beta"}, Default: "stable",
		Guides: map[string][]*publish.Guide{"stable": sampleGuides("stable"), "beta": sampleGuides("beta")},
		Keys: []Key{
			{"Hello release key", "openpgp", "6A1F0B3C9D2E48570F1CAB34D5E67F8091A2B3C4", "keys/hello.asc", "RSA 4096"},
			{"apk key", "rsa256", "1a2b3c4d5e6f7081", "keys/hello-1a2b3c4d.rsa.pub", "RSA 4096"},
			{"opkg key", "usign", "9f8e7d6c5b4a3921", "keys/9f8e7d6c5b4a3921", "Ed25519"},
		},
	}
	for _, c := range in.Channels {
		in.Indexes = append(in.Indexes,
			Index{"apt", c, publish.ClientIndex{Path: "apt/dists/" + c}},
			Index{"apt", c, publish.ClientIndex{URL: "https://files.example.org/latest/"}},
			Index{"dnf", c, publish.ClientIndex{Path: "."}},
			Index{"apk", c, publish.ClientIndex{Arch: "x86_64", Path: "alpine/x86_64"}})
	}
	versions := func(name string, numbers ...string) []Version {
		var vs []Version
		for i, n := range numbers {
			vs = append(vs, Version{Version: n, Time: at.AddDate(0, -i, -i*3), Downloads: sampleDownloads(name, n)})
		}
		return vs
	}
	in.Packages = []Package{
		{Name: "hello", Description: "The hello program", Channel: "stable", Versions: versions("hello", "1.4.2", "1.4.1", "1.4.0", "1.3.7")},
		{Name: "hello", Description: "The hello program", Channel: "beta", Versions: versions("hello", "1.5.0-rc.1")},
		{Name: "hello-compat", Description: "Old names for the commands", Channel: "stable", Versions: versions("hello-compat", "1.4.2"), Deprecated: "Scripts call hello since 1.3; this package goes with 2.0."},
		{Name: "hello-server", Description: "Greets over HTTP, with a systemd service", Channel: "stable", Versions: versions("hello-server", "1.4.2", "1.4.1")},
	}
	in.Packages[0].Versions[2].Notice = "Withdrawn: greeted the wrong people. Use 1.4.1 or later."
	return in
}

func sampleDownloads(name, version string) []Download {
	var ds []Download
	for i, f := range []struct{ label, client, format, path string }{
		{"Debian, Ubuntu", "apt", "deb", "apt/pool/main/%[1]s_%[2]s-1_%[3]s.deb"},
		{"Fedora, openSUSE", "dnf", "rpm", "rpm/%[3]s/%[1]s-%[2]s-1.%[3]s.rpm"},
		{"Arch Linux", "pacman", "arch", "arch/%[3]s/%[1]s-%[2]s-1-%[3]s.pkg.tar.zst"},
		{"Alpine Linux", "apk", "apk", "alpine/%[3]s/%[1]s-%[2]s-r1.apk"},
		{"OpenWrt", "opkg", "ipk", "opkg/%[3]s/%[1]s_%[2]s-1_%[3]s.ipk"},
		{"Any Linux", "", "tar.gz", "archives/%[1]s_%[2]s_linux_%[3]s.tar.gz"},
	} {
		for j, arch := range []string{"x86_64", "aarch64"} {
			word := arch
			if f.format == "deb" || f.format == "tar.gz" {
				word = []string{"amd64", "arm64"}[j]
			}
			p := fmt.Sprintf(f.path, name, version, word)
			ds = append(ds, Download{Label: f.label, Client: f.client, Format: f.format, Arch: word, Path: p, Size: int64(2_431_008 + i*8_123 - j*91_000), SHA256: formats.Digest(sha256.Sum256([]byte(p)))})
			if f.client == "dnf" {
				ds = append(ds, ds[len(ds)-1])
				ds[len(ds)-1].Client = "zypper"
			}
		}
	}
	return ds
}

const sampleSources = `Types: deb
URIs: @URL/apt
Suites: @CHANNEL
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGkYx2wBEAC7Zk1VxG0p3xU8f5yJ0fKk3Wm9yZr0vS7sV2yL0m2m9m3m1qkY
 2bq8pTn0v9dQ3Qh0s5mZ1r7dX1uXyJ6Zq3m9s8vK5f0aQ2nR7wE4tY6uI8oP0aSd
 =x7Qm
 -----END PGP PUBLIC KEY BLOCK-----
`

// sampleGuides are such as the repositories write.
func sampleGuides(channel string) []*publish.Guide {
	fill := strings.NewReplacer("@URL", sampleURL, "@CHANNEL", channel).Replace
	guides := []*publish.Guide{
		{
			Client: "apt", Title: "Debian, Ubuntu and derivatives", Families: []string{"debian", "ubuntu"}, Probe: "apt-get", CPUs: []string{"x86_64", "aarch64"},
			Add: []publish.Step{
				{Text: "Write the repository with its key", Command: "sudo tee /etc/apt/sources.list.d/hello.sources >/dev/null <<'EOF'\n" + sampleSources + "EOF"},
				{Command: "sudo apt-get update"},
			},
			Install:   []publish.Step{{Command: "sudo apt-get install $PACKAGE"}},
			Upgrade:   []publish.Step{{Command: "sudo apt-get update && sudo apt-get upgrade"}},
			Remove:    []publish.Step{{Command: "sudo apt-get purge $PACKAGE"}, {Command: "sudo rm -f /etc/apt/sources.list.d/hello.sources"}},
			Verify:    []publish.Step{{Text: "Names the key that signed the index", Command: "apt-get indextargets --format '$(SIGNED_BY)' 'Origin: hello'"}},
			Setup:     "\tput 0644 /etc/apt/sources.list.d/hello.sources <<'EOF'\n" + sampleSources + "EOF\n\trun apt-get update --error-on=any",
			InstallSh: `	run apt-get install ${YES:+-y} "$@"`,
			Files:     []publish.File{{Path: "apt/hello-" + channel + ".sources", Blob: formats.Bytes([]byte("Types: deb\n"))}},
		},
		{
			Client: "dnf", Title: "Fedora, RHEL and derivatives", Families: []string{"fedora", "rhel", "centos"}, Probe: "dnf", CPUs: []string{"x86_64", "aarch64"},
			Add:       []publish.Step{{Command: "sudo curl -fsSL -o /etc/yum.repos.d/hello.repo @URL/rpm/hello-@CHANNEL.repo"}},
			Install:   []publish.Step{{Command: "sudo dnf install $PACKAGE"}},
			Upgrade:   []publish.Step{{Command: "sudo dnf upgrade"}},
			Remove:    []publish.Step{{Command: "sudo dnf remove $PACKAGE"}, {Command: "sudo rm -f /etc/yum.repos.d/hello.repo"}},
			Verify:    []publish.Step{{Command: "rpm -qi $PACKAGE | grep Signature"}},
			Setup:     "\tfetch \"$URL/rpm/hello-$CHANNEL.repo\" /etc/yum.repos.d/hello.repo",
			InstallSh: "\trun dnf install ${YES:+-y} \"$@\"",
			Files:     []publish.File{{Path: "keys/hello.asc", Blob: formats.Bytes([]byte("key\n"))}},
		},
		{
			Client: "zypper", Title: "openSUSE and SLE", Families: []string{"opensuse", "suse", "sles"}, Probe: "zypper",
			Add:       []publish.Step{{Text: "Import the key first", Command: "sudo rpm --import @URL/keys/hello.asc"}, {Command: "sudo zypper addrepo @URL/rpm/hello-@CHANNEL.repo"}},
			Install:   []publish.Step{{Command: "sudo zypper install $PACKAGE"}},
			Upgrade:   []publish.Step{{Command: "sudo zypper update"}},
			Remove:    []publish.Step{{Command: `sudo zypper remove "$PACKAGE"`}, {Command: "sudo zypper removerepo hello"}},
			Setup:     "\tfetch \"$URL/rpm/hello-$CHANNEL.repo\" /etc/zypp/repos.d/hello.repo\n\trun rpm --import \"$URL/keys/hello.asc\"",
			InstallSh: "\trun zypper ${YES:+--non-interactive} install \"$@\"",
			Files:     []publish.File{{Path: "keys/hello.asc", Blob: formats.Bytes([]byte("key\n"))}},
		},
		{
			Client: "pacman", Title: "Arch Linux and derivatives", Families: []string{"arch"}, Probe: "pacman", CPUs: []string{"x86_64"},
			Add: []publish.Step{
				{Text: "Trust the key", Command: "curl -fsSL @URL/keys/hello.asc | sudo pacman-key --add -\nsudo pacman-key --lsign-key 6A1F0B3C9D2E48570F1CAB34D5E67F8091A2B3C4"},
				{Text: "Add the repository", Command: "sudo tee -a /etc/pacman.conf >/dev/null <<'EOF'\n\n[hello]\nSigLevel = Required\nServer = @URL/arch/$arch\nEOF"},
			},
			Install:   []publish.Step{{Command: "sudo pacman -Sy $PACKAGE"}},
			Upgrade:   []publish.Step{{Command: "sudo pacman -Syu"}},
			Remove:    []publish.Step{{Command: "sudo pacman -Rs $PACKAGE"}},
			Setup:     "\tfetch \"$URL/keys/hello.asc\" /usr/share/pacman/keyrings/hello.asc\n\trun pacman-key --add /usr/share/pacman/keyrings/hello.asc",
			InstallSh: "\trun pacman -Sy ${YES:+--noconfirm} --needed \"$@\"",
		},
		{
			Client: "apk", Title: "Alpine Linux", Families: []string{"alpine"}, Probe: "apk", CPUs: []string{"x86_64", "aarch64", "armv7l"},
			Add:       []publish.Step{{Command: "wget -O /etc/apk/keys/hello-1a2b3c4d.rsa.pub @URL/keys/hello-1a2b3c4d.rsa.pub"}, {Command: "echo '@URL/alpine' >>/etc/apk/repositories"}},
			Install:   []publish.Step{{Command: "apk add --update-cache $PACKAGE"}},
			Upgrade:   []publish.Step{{Command: "apk upgrade --update-cache"}},
			Remove:    []publish.Step{{Command: "apk del $PACKAGE"}},
			Setup:     "\tfetch \"$URL/keys/hello-1a2b3c4d.rsa.pub\" /etc/apk/keys/hello-1a2b3c4d.rsa.pub\n\t# shellcheck disable=SC2016\n\trun sh -c 'echo \"$1/alpine\" >>/etc/apk/repositories' add \"$URL\"",
			InstallSh: "\trun apk add --update-cache \"$@\"",
		},
		{
			Client: "opkg", Title: "OpenWrt and Yocto", Families: []string{"openwrt", "lede"}, Probe: "opkg", CPUs: []string{"x86_64", "aarch64"},
			Add:       []publish.Step{{Command: "wget -O /etc/opkg/keys/9f8e7d6c5b4a3921 @URL/keys/9f8e7d6c5b4a3921"}, {Command: "echo 'src/gz hello @URL/opkg/x86_64' >>/etc/opkg/customfeeds.conf"}},
			Install:   []publish.Step{{Command: "opkg update && opkg install $PACKAGE"}},
			Upgrade:   []publish.Step{{Command: "opkg update && opkg upgrade $PACKAGE"}},
			Remove:    []publish.Step{{Command: "opkg remove $PACKAGE"}},
			Setup:     "\tfetch \"$URL/keys/9f8e7d6c5b4a3921\" /etc/opkg/keys/9f8e7d6c5b4a3921\n\tprintf 'src/gz hello %s/opkg/%s\\n' \"$URL\" \"$ARCH\" | put 0644 /etc/opkg/hello.conf\n\trun opkg update",
			InstallSh: "\trun opkg install \"$@\"",
		},
		{
			Client: "brew", Title: "macOS and Linux with Homebrew", Families: []string{"macos", "darwin"}, Probe: "brew",
			Add:       []publish.Step{{Command: "brew tap example/hello @URL/brew.git"}},
			Install:   []publish.Step{{Command: "brew install $PACKAGE"}},
			Upgrade:   []publish.Step{{Command: "brew upgrade $PACKAGE"}},
			Remove:    []publish.Step{{Command: "brew uninstall $PACKAGE"}, {Command: "brew untap example/hello"}},
			Setup:     "\trun brew tap example/hello \"$URL/brew.git\"",
			InstallSh: "\trun brew install \"$@\"",
		},
	}
	for _, g := range guides {
		g.Setup = fill(g.Setup)
		for _, list := range steps(g) {
			for i := range list {
				list[i].Command = fill(list[i].Command)
			}
		}
	}
	return guides
}

// render returns the files of in by path.
func render(t *testing.T, in *Input) map[string][]byte {
	t.Helper()
	files, err := Render(in)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]byte)
	for _, f := range files {
		b, err := formats.ReadAll(f.Blob)
		if err != nil {
			t.Fatal(err)
		}
		if all[f.Path] != nil {
			t.Errorf("%s is there twice", f.Path)
		}
		all[f.Path] = b
	}
	return all
}
