package rpm

import (
	"fmt"
	"path"
	"strings"

	"github.com/distropack/distropack/formats"
)

// scriptlet is one script of a header.
type scriptlet struct {
	tag, prog tag
	sense     uint32
	body      string
	argv      []string // what runs it
	needs     []string // interpreters of pieces inside it
	critical  bool     // its failure is the transaction's
}

// scriptCritical in a scriptlet's flags makes its failure one of the
// transaction. rpm sets it for %pre and %preun by itself. With it, rpm 4.18 ends
// with an error after a failed %post too, instead of a warning; the files are
// there already, and on upgrade the old version stays listed until the next one.
const scriptCritical = 1 << 2

// scriptlets turns scripts and services into rpm's four. rpm passes how many
// versions of the package will be there afterwards: %pre and %post get 1 on
// installation and 2 on upgrade, %preun and %postun 0 on removal and 1 on
// upgrade. The old version's last two run after the new one's %post, so they
// must do nothing then.
func scriptlets(spec *formats.Spec) ([]scriptlet, error) {
	for _, s := range spec.Services {
		if err := checkUnit(s.Unit); err != nil {
			return nil, err
		}
	}
	pre, err := onInstall(spec.Scripts.PreInstall, spec.Scripts.PreUpgrade, "", "")
	if err != nil {
		return nil, fmt.Errorf("%%pre: %w", err)
	}
	install, upgrade, stop, reload := serviceCommands(spec.Services)
	post, err := onInstall(spec.Scripts.PostInstall, spec.Scripts.PostUpgrade, install, upgrade)
	if err != nil {
		return nil, fmt.Errorf("%%post: %w", err)
	}
	preun, err := onRemove(spec.Scripts.PreRemove, stop)
	if err != nil {
		return nil, fmt.Errorf("%%preun: %w", err)
	}
	postun, err := onRemove(spec.Scripts.PostRemove, reload)
	if err != nil {
		return nil, fmt.Errorf("%%postun: %w", err)
	}
	post.critical = spec.Scripts.PostInstall != "" || spec.Scripts.PostUpgrade != ""
	pre.tag, pre.prog, pre.sense = tagPreIn, tagPreInProg, senseScriptPre
	post.tag, post.prog, post.sense = tagPostIn, tagPostInProg, senseScriptPost
	preun.tag, preun.prog, preun.sense = tagPreUn, tagPreUnProg, senseScriptPreUn
	postun.tag, postun.prog, postun.sense = tagPostUn, tagPostUnProg, senseScriptPostUn
	var list []scriptlet
	for _, s := range []scriptlet{pre, post, preun, postun} {
		if s.body != "" {
			list = append(list, s)
		}
	}
	return list, nil
}

var shell = []string{"/bin/sh"}

// onInstall runs first's or again's body, then what is ours. A body that runs in
// both cases with nothing of ours stays as it is, under its own interpreter.
func onInstall(first, again, oursFirst, oursAgain string) (scriptlet, error) {
	if again == "" && oursFirst == "" && oursAgain == "" {
		in, err := parseScript(first)
		return scriptlet{body: first, argv: in.argv}, err
	}
	s := scriptlet{argv: shell}
	var b strings.Builder
	if again == "" {
		if err := s.embed(&b, first); err != nil {
			return s, err
		}
		b.WriteString(branch(`"$1" -gt 1`, oursAgain, oursFirst))
		s.body = b.String()
		return s, nil
	}
	var upgrade, install strings.Builder
	if err := s.embed(&upgrade, again); err != nil {
		return s, err
	}
	upgrade.WriteString(oursAgain)
	if err := s.embed(&install, first); err != nil {
		return s, err
	}
	install.WriteString(oursFirst)
	s.body = branch(`"$1" -gt 1`, upgrade.String(), install.String())
	return s, nil
}

// onRemove runs what is ours, then body, on real removal.
func onRemove(body, ours string) (scriptlet, error) {
	s := scriptlet{argv: shell}
	var b strings.Builder
	b.WriteString(ours)
	if err := s.embed(&b, body); err != nil {
		return s, err
	}
	s.body = branch(`"$1" -eq 0`, b.String(), "")
	return s, nil
}

// branch is an if of two blocks, of which either may be empty.
func branch(test, yes, no string) string {
	switch {
	case yes == "" && no == "":
		return ""
	case yes == "":
		return "if ! [ " + test + " ]; then\n" + no + "fi\n"
	case no == "":
		return "if [ " + test + " ]; then\n" + yes + "fi\n"
	}
	return "if [ " + test + " ]; then\n" + yes + "else\n" + no + "fi\n"
}

// interpreter is what a script's first line asks for.
type interpreter struct {
	argv []string // program and at most one argument
	line int      // where the body goes on
}

// parseScript reads the #! line; without one the script is POSIX sh.
func parseScript(body string) (interpreter, error) {
	if strings.IndexByte(body, 0) >= 0 {
		return interpreter{}, fmt.Errorf("script has a zero byte; it must be text")
	}
	line, _, _ := strings.Cut(body, "\n")
	rest, found := strings.CutPrefix(line, "#!")
	if !found {
		return interpreter{argv: shell}, nil
	}
	if strings.HasSuffix(line, "\r") {
		return interpreter{}, fmt.Errorf("script's line %q ends in a carriage return; save it with unix line ends", line)
	}
	// As the kernel does: everything behind the program is one argument.
	prog, arg, hasArg := strings.Cut(strings.TrimSpace(rest), " ")
	if !path.IsAbs(prog) || hasControl(rest) {
		return interpreter{}, fmt.Errorf("script's line %q names no interpreter by an absolute path", line)
	}
	in := interpreter{argv: []string{prog}, line: min(len(line)+1, len(body))}
	if hasArg {
		in.argv = append(in.argv, strings.TrimSpace(arg))
	}
	return in, nil
}

// shell reports whether the script is one of /bin/sh, and which flags to set.
func (in interpreter) shell() (flags string, ok bool) {
	if in.argv[0] != "/bin/sh" || len(in.argv) == 1 {
		return "", in.argv[0] == "/bin/sh"
	}
	letters, ok := strings.CutPrefix(in.argv[1], "-")
	if !ok || letters == "" || strings.Trim(letters, "eux") != "" {
		return "", false
	}
	return "set " + in.argv[1] + "\n", true
}

// embed writes a piece of sh that runs body with the scriptlet's arguments and
// ends the scriptlet where it fails. sh runs in a subshell, outside of any
// condition, so that exit and set -e in it mean what they meant; anything else
// is put into a file for its own interpreter.
func (s *scriptlet) embed(b *strings.Builder, body string) error {
	if body == "" {
		return nil
	}
	in, err := parseScript(body)
	if err != nil {
		return err
	}
	if flags, ok := in.shell(); ok {
		b.WriteString("(\n:\n" + flags + withNewline(body[in.line:]) + ")\nstatus=$?\n")
	} else {
		s.needs = append(s.needs, in.argv[0])
		end := "DISTROPACK_END"
		for strings.Contains(body, end) {
			end += "_"
		}
		b.WriteString("script=$(mktemp) || exit 1\n")
		b.WriteString("cat >\"$script\" <<'" + end + "'\n" + withNewline(body) + end + "\n")
		for _, word := range in.argv {
			b.WriteString(quote(word) + " ")
		}
		b.WriteString("\"$script\" ${1+\"$@\"}\nstatus=$?\nrm -f \"$script\"\n")
	}
	b.WriteString("[ \"$status\" -eq 0 ] || exit \"$status\"\n")
	return nil
}

func withNewline(s string) string {
	if strings.HasSuffix(s, "\n") || s == "" {
		return s
	}
	return s + "\n"
}

// quote makes s one word of sh.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
