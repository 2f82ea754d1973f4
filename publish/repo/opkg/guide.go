package opkg

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

// feeds is the file of feeds that OpenWrt keeps when it is upgraded.
const feeds = "/etc/opkg/customfeeds.conf"

// Guide is for OpenWrt before 25.12. A device asks for the feed of its own word,
// DISTRIB_ARCH; one that has no feed takes the generic one of its CPU, and is told
// to accept that word.
func (r *Repo) Guide(ctx context.Context, in *publish.GuideInput) (*publish.Guide, error) {
	if err := r.checkGuide(in); err != nil {
		return nil, err
	}
	feed := r.feedName(in.Channel)
	base := in.URL + "/opkg/" + in.Channel
	arch := "$(. /etc/openwrt_release; echo $DISTRIB_ARCH)"
	g := &publish.Guide{
		Client:   "opkg",
		Title:    "OpenWrt 24.10 and earlier",
		Families: []string{"openwrt", "lede"},
		Probe:    "opkg",
	}
	var words []string
	for _, c := range r.cpus {
		g.CPUs = append(g.CPUs, cpu.Machines[c.Platform.CPU()]...)
		words = append(words, c.Words...)
	}
	remove := fmt.Sprintf("sed -i '/^src.gz %s /d' %s", feed, feeds)
	var setup strings.Builder
	if r.usign != nil {
		at := "/etc/opkg/keys/" + r.usign.key.Name
		g.Files = []publish.File{
			{Path: "keys/" + r.usign.key.Name, Class: publish.Pointer, Blob: formats.Bytes(r.usign.key.Data)},
			{Path: "keys/" + r.armor.key.Name, Class: publish.Pointer, Blob: formats.Bytes(r.armor.key.Data)},
		}
		g.Add = append(g.Add, publish.Step{
			Text:    "Fetch the key; opkg finds it by this file name",
			Command: fmt.Sprintf("wget -O %s %s/keys/%s", at, in.URL, r.usign.key.Name),
		})
		g.Verify = []publish.Step{
			{Text: "Shows the key's fingerprint: " + r.usign.key.Name, Command: "usign -F -p " + at},
			{Text: "opkg checks the index where this is set, as it is on OpenWrt", Command: "grep check_signature /etc/opkg.conf"},
		}
		remove += " && rm -f " + at
		fmt.Fprintf(&setup, "fetch \"$URL/keys/%s\" %s\n", r.usign.key.Name, at)
	} else {
		g.Add = append(g.Add, publish.Step{
			Text:    "The feed is not signed: opkg takes it only with its check switched off, for all feeds",
			Command: "sed -i 's/^option check_signature/# &/' /etc/opkg.conf",
		})
		setup.WriteString("say 'The feed is not signed: opkg takes it only without \"option check_signature\" in /etc/opkg.conf.'\n")
	}
	g.Add = append(g.Add,
		publish.Step{
			Text:    "Add the feed; there is one for " + strings.Join(words, ", "),
			Command: fmt.Sprintf(`echo "src/gz %s %s/%s" >> %s`, feed, base, arch, feeds),
		},
		publish.Step{Command: "opkg update"},
	)
	g.Install = []publish.Step{{Command: "opkg install $PACKAGE"}}
	g.Upgrade = []publish.Step{{Command: "opkg update && opkg upgrade $PACKAGE"}}
	g.Remove = []publish.Step{{Command: "opkg remove $PACKAGE"}, {Text: "And the feed", Command: remove}}
	setup.WriteString(r.choose(words))
	// opkg knows its own architecture until a file names one; then it knows those alone.
	fmt.Fprintf(&setup, `if [ "$feed" != "$own" ] && ! grep -qs "^arch $feed " /etc/opkg.conf /etc/opkg/*.conf; then
	# shellcheck disable=SC2016 # the inner shell expands it
	run sh -c '{ grep -qs "^arch " /etc/opkg.conf /etc/opkg/*.conf || printf "arch all 1\narch noarch 1\narch %%s 200\n" "$1"; printf "arch %%s 100\n" "$2"; } >>"$3"' sh "$own" "$feed" /etc/opkg/%[1]s-arch.conf
fi
if ! grep -qs '^src/gz %[1]s ' %[2]s; then
	# shellcheck disable=SC2016 # the inner shell expands it
	run sh -c 'echo "$1" >>"$2"' sh "src/gz %[1]s $URL/opkg/%[3]s/$feed" %[2]s
fi
run opkg update
`, feed, feeds, in.Channel)
	g.Setup = setup.String()
	g.InstallSh = "run opkg install \"$@\"\n"
	return g, nil
}

// choose sets own and feed: the device's word and the feed it takes.
func (r *Repo) choose(words []string) string {
	var b strings.Builder
	b.WriteString("# shellcheck disable=SC1091 # it is on the device\nown=$(. /etc/openwrt_release && echo \"$DISTRIB_ARCH\")\ncase $own in\n")
	if len(words) > 0 {
		fmt.Fprintf(&b, "%s) feed=$own ;;\n", strings.Join(words, " | "))
	}
	for _, w := range words {
		if family, ok := strings.CutSuffix(w, "_generic"); ok {
			fmt.Fprintf(&b, "%s_*) feed=%s ;;\n", family, w)
		}
	}
	fmt.Fprintf(&b, "*)\n\tsay \"there are no packages for $own here, only for: %s\"\n\treturn 1\n\t;;\nesac\n", strings.Join(words, " "))
	return b.String()
}

// Guides is for OpenWrt and for images made with Yocto, whose opkg checks OpenPGP.
func (r *Repo) Guides(ctx context.Context, in *publish.GuideInput) ([]*publish.Guide, error) {
	openwrt, err := r.Guide(ctx, in)
	if err != nil {
		return nil, err
	}
	yocto := r.yocto(in)
	yocto.CPUs, yocto.Install, yocto.Upgrade, yocto.InstallSh = openwrt.CPUs, openwrt.Install, openwrt.Upgrade, openwrt.InstallSh
	return []*publish.Guide{openwrt, yocto}, nil
}

func (r *Repo) yocto(in *publish.GuideInput) *publish.Guide {
	feed := r.feedName(in.Channel)
	conf := "/etc/opkg/" + feed + ".conf"
	g := &publish.Guide{
		Client:   "opkg",
		Title:    "Yocto and OpenEmbedded",
		Families: []string{"poky", "yocto", "nodistro"},
		Probe:    "opkg",
		Remove:   []publish.Step{{Command: "opkg remove $PACKAGE"}, {Text: "And the feed", Command: "rm -f " + conf}},
	}
	var setup strings.Builder
	check := ""
	if r.armor != nil {
		key := r.armor.key
		check = `option check_signature 1\noption signature_type gpg-asc\n`
		g.Add = []publish.Step{{
			Text:    "Fetch the key and trust it",
			Command: fmt.Sprintf("wget -O /etc/opkg/%[2]s %[1]s/keys/%[2]s && opkg-key add /etc/opkg/%[2]s", in.URL, key.Name),
		}}
		g.Verify = []publish.Step{{Text: "The key's fingerprint is " + key.ID, Command: "opkg-key list"}}
		fmt.Fprintf(&setup, "fetch \"$URL/keys/%[1]s\" /etc/opkg/%[1]s\nrun opkg-key add /etc/opkg/%[1]s\n", key.Name)
	}
	first := "x86_64"
	var words []string
	setup.WriteString("case $ARCH in\n")
	for _, c := range r.cpus {
		fmt.Fprintf(&setup, "%s) feed=%s ;;\n", strings.Join(cpu.Machines[c.Platform.CPU()], " | "), c.Words[0])
		words = append(words, c.Words...)
	}
	if len(words) > 0 {
		first = words[0]
	}
	format := fmt.Sprintf(`'%sarch %%s 100\nsrc/gz %s %%s/opkg/%s/%%s\n'`, check, feed, in.Channel)
	fmt.Fprintf(&setup, `*)
	say "there are no packages for $ARCH here"
	return 1
	;;
esac
printf %s "$feed" "$URL" "$feed" | put 0644 %s
run opkg update
`, format, conf)
	g.Setup = setup.String()
	g.Add = append(g.Add,
		publish.Step{
			Text:    "Add the feed of the image's CPU and have opkg accept its word; there are " + strings.Join(words, ", "),
			Command: fmt.Sprintf("printf %s %s %s %s > %s", format, first, in.URL, first, conf),
		},
		publish.Step{Command: "opkg update"},
	)
	return g
}

func (r *Repo) checkGuide(in *publish.GuideInput) error {
	if !slices.Contains(r.env.Channels, in.Channel) {
		return fmt.Errorf("channel %q is not published here (channels: %s)", in.Channel, strings.Join(r.env.Channels, " "))
	}
	if !urlForm.MatchString(in.URL) {
		return fmt.Errorf("url %q can't stand in %s: use http or https, and letters, digits and . _ ~ : / @ + , = - only", in.URL, feeds)
	}
	return nil
}

// feedName is what opkg calls the feed on the device.
func (r *Repo) feedName(channel string) string {
	if len(r.env.Channels) == 0 || channel == r.env.Channels[0] {
		return r.env.Name
	}
	return r.env.Name + "-" + channel
}

// urlForm is what may stand in a command and in a list of repositories as it is.
var urlForm = regexp.MustCompile(`^https?://[A-Za-z0-9._~:/@+,=-]+$`)
