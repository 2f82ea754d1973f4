package brew

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distropack/distropack/publish"
)

// Guide is for Homebrew on macOS and Linux. Homebrew reads formulae from taps
// only. Where the project has one (option tap) people add that; else they make a
// folder for a tap of their own and fetch the formula into it. Formulae are always
// named with their tap: that is how people say that they trust them.
func (r *Repo) Guide(ctx context.Context, in *publish.GuideInput) (*publish.Guide, error) {
	if !slices.Contains(r.env.Channels, in.Channel) {
		return nil, fmt.Errorf("channel %q is not published here (channels: %s)", in.Channel, strings.Join(r.env.Channels, " "))
	}
	if !urlForm.MatchString(in.URL) {
		return nil, fmt.Errorf("url %q can't stand in a command: use http or https, and letters, digits and . _ ~ : / @ + , = - only", in.URL)
	}
	suffix := r.formulaName("", in.Channel)
	g := &publish.Guide{
		Client:   "brew",
		Title:    "Homebrew on macOS and Linux",
		Families: []string{"macos", "darwin"},
		Probe:    "brew",
	}
	for _, c := range []struct {
		arch  string
		words []string
	}{{"amd64", []string{"x86_64"}}, {"arm64", []string{"arm64", "aarch64"}}} {
		for _, p := range r.env.Platforms {
			if p.Arch == c.arch && (p.OS == "linux" || p.OS == "darwin") {
				g.CPUs = append(g.CPUs, c.words...)
				break
			}
		}
	}
	if r.o.Tap != "" {
		r.tap(g, suffix)
	} else {
		r.folder(g, in.URL, suffix)
	}
	return g, nil
}

// tap is for a tap in a Git repository.
func (r *Repo) tap(g *publish.Guide, suffix string) {
	add := "brew tap " + r.o.Tap
	if r.o.TapURL != "" {
		add += " " + r.o.TapURL
	}
	formula := r.o.Tap + "/$PACKAGE" + suffix
	g.Add = []publish.Step{{Text: "Add the tap", Command: add}}
	g.Install = []publish.Step{{Command: "brew install " + formula}}
	g.Upgrade = []publish.Step{{Command: "brew update && brew upgrade " + formula}}
	g.Remove = []publish.Step{{Command: "brew uninstall " + formula}, {Text: "And the tap", Command: "brew untap " + r.o.Tap}}
	g.Verify = []publish.Step{{Text: "The formula names each archive by SHA-256, which brew checks", Command: "brew fetch --force " + formula}}
	g.Setup = "run " + add + "\n"
	g.InstallSh = fmt.Sprintf("for formula in \"$@\"; do\n\trun brew install \"%s/$formula%s\"\ndone\n", r.o.Tap, suffix)
}

// folder is for single formulae, fetched from the tree.
func (r *Repo) folder(g *publish.Guide, url, suffix string) {
	tap := r.env.Name + "/tap"
	dir := "Formula"
	if r.o.Dir != "." {
		dir = r.o.Dir + "/Formula"
	}
	formula := tap + "/$PACKAGE" + suffix
	repository := "$(brew --repository " + tap + ")"
	fetch := fmt.Sprintf(`curl -fsSL -o "%s/Formula/$PACKAGE%s.rb" %s/%s/$PACKAGE%s.rb`, repository, suffix, url, dir, suffix)
	g.Add = []publish.Step{{Text: "Make a folder for the formula", Command: fmt.Sprintf(`mkdir -p "%s/Formula"`, repository)}}
	g.Install = []publish.Step{{Text: "Fetch the formula", Command: fetch}, {Command: "brew install " + formula}}
	g.Upgrade = []publish.Step{{Text: "Fetch the new formula and upgrade", Command: fetch + " && brew upgrade " + formula}}
	g.Remove = []publish.Step{{Command: "brew uninstall " + formula}, {Text: "And the formulae", Command: "brew untap " + tap}}
	g.Verify = []publish.Step{{Text: "The formula names each archive by SHA-256, which brew checks", Command: "brew fetch --force " + formula}}
	// In a dry run brew may not be there.
	where := fmt.Sprintf("# shellcheck disable=SC2016 # shown as it is\nfolder=$(brew --repository %s 2>/dev/null) || folder='%s'\n", tap, repository)
	g.Setup = where + "run mkdir -p \"$folder/Formula\"\n"
	g.InstallSh = where + fmt.Sprintf(`for formula in "$@"; do
	fetch "$URL/%[1]s/$formula%[2]s.rb" "$folder/Formula/$formula%[2]s.rb"
	run brew install "%[3]s/$formula%[2]s"
done
`, dir, suffix, tap)
}

// urlForm is what may stand in a command as it is.
var urlForm = regexp.MustCompile(`^https?://[A-Za-z0-9._~:/@+,=-]+$`)
