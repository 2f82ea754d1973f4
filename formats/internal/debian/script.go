package debian

import (
	"fmt"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// Dialect is how a package manager calls maintainer scripts.
type Dialect int

const (
	// Dpkg says everything in arguments, but "configure OLD" may be an upgrade or
	// an installation after a removal that left configuration behind. preinst is
	// told which, and leaves a mark for postinst.
	Dpkg Dialect = iota
	// Opkg calls "configure" alone. OpenWrt's opkg sets PKG_UPGRADE to 1 or 0;
	// Yocto's does not, so preinst leaves a mark on "upgrade".
	Opkg
)

// The moments at which a script has something to do.
const (
	install = "install"
	upgrade = "upgrade"
	remove  = "remove"
)

// maxScript bounds the body of one script.
const maxScript = 1 << 20

// Scripts renders the maintainer scripts of a package as members of control.tar;
// those that would do nothing are left out.
//
// Each runs the bodies of spec at the moment they are meant for, and looks after
// its services. The scripts of the old version do nothing on an upgrade, so
// what it started keeps running until the new version restarts it.
func Scripts(spec *formats.Spec, d Dialect) ([]Member, error) {
	s := &spec.Scripts
	preUpgrade, postUpgrade := orElse(s.PreUpgrade, s.PreInstall), orElse(s.PostUpgrade, s.PostInstall)
	units := len(spec.Services) > 0
	marked := units || s.PostUpgrade != ""

	pre := script{dialect: d, mark: spec.Name}
	pre.bodies(s.PreInstall, preUpgrade)
	post := script{dialect: d, mark: spec.Name}
	post.bodies(s.PostInstall, postUpgrade)
	if units {
		post.text(install, startUnits(spec.Services))
		post.text(upgrade, restartUnits(spec.Services))
	}
	prerm := script{dialect: d, mark: spec.Name}
	prerm.body(remove, s.PreRemove)
	if units {
		prerm.text(remove, stopUnits(spec.Services))
	}
	postrm := script{dialect: d, mark: spec.Name}
	if units {
		postrm.text(remove, reload)
	}
	postrm.body(remove, s.PostRemove)

	var members []Member
	for _, m := range []struct {
		name string
		when string
		s    *script
	}{
		{"preinst", preinstWhen, &pre}, {"postinst", postinstWhen[d], &post}, {"prerm", removeWhen, &prerm}, {"postrm", removeWhen, &postrm},
	} {
		when := m.when
		marks := marked && m.name != "prerm"
		if m.name == "postinst" && !marked {
			when = configureWhen // install and upgrade are the same
		}
		body, err := m.s.finish(m.name, when, marks)
		if err != nil {
			return nil, err
		}
		if body != nil {
			members = append(members, Member{m.name, 0o755, body})
		}
	}
	return members, nil
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// How each script finds out what happens. PKG_UPGRADE is OpenWrt's; dpkg does not
// set it, and an environment that did would be read by OpenWrt's packages only.
const (
	preinstWhen = `case "${1-}" in
install) distropack_when=install ;;
upgrade) distropack_when=upgrade ;;
esac
`
	configureWhen = `case "${1-}" in
configure) distropack_when=install ;;
esac
`
	removeWhen = `case "${1-}" in
remove) distropack_when=remove ;;
esac
`
	openWrtWhen = `if [ "${PKG_UPGRADE-}" = 1 ] && [ -n "$distropack_when" ]; then
	distropack_when=upgrade
fi
`
)

var postinstWhen = map[Dialect]string{
	Dpkg: `case "${1-}" in
configure)
	if [ -z "${2-}" ] || [ -e "$distropack_mark" ]; then
		distropack_when=install
	else
		distropack_when=upgrade
	fi
	;;
esac
`,
	Opkg: `case "${1-}" in
configure)
	distropack_when=install
	if [ -e "$distropack_mark" ]; then
		distropack_when=upgrade
	fi
	;;
esac
`,
}

// script gathers what one maintainer script does.
type script struct {
	dialect Dialect
	mark    string // the package's name
	b       strings.Builder
	err     error
}

// bodies runs first on installation and second on upgrade.
func (s *script) bodies(first, second string) {
	if first == second {
		s.when(`[ -n "$distropack_when" ]`, first)
		return
	}
	s.body(install, first)
	s.body(upgrade, second)
}

func (s *script) body(when, body string) { s.when(`[ "$distropack_when" = `+when+` ]`, body) }

func (s *script) when(test, body string) {
	if body == "" || s.err != nil {
		return
	}
	var text string
	if text, s.err = runBody(body); s.err == nil {
		s.b.WriteString("\nif " + test + "; then\n" + text + "fi\n")
	}
}

// text runs lines of ours.
func (s *script) text(when, lines string) {
	s.b.WriteString("\nif [ \"$distropack_when\" = " + when + " ]; then\n" + lines + "fi\n")
}

func (s *script) finish(name, when string, marks bool) ([]byte, error) {
	if s.err != nil {
		return nil, fmt.Errorf("%s: %w", name, s.err)
	}
	tail := ""
	if marks {
		tail = markTail(name, s.dialect)
	}
	if s.b.Len() == 0 && tail == "" {
		return nil, nil
	}
	head := "#!/bin/sh\n# Written by DistroPack.\nset -e\n\n"
	if strings.Contains(when+tail, "distropack_mark") {
		// Offline, opkg names the root it works in.
		root := ""
		if s.dialect == Opkg {
			root = `${IPKG_INSTROOT:-${PKG_ROOT%/}}`
		}
		head += `distropack_mark="` + root + "/var/lib/distropack/" + s.mark + "\"\n"
	}
	body := ""
	if s.b.Len() > 0 {
		head += "distropack_when=\n" + when
		if s.dialect == Opkg {
			head += openWrtWhen
		}
		body = s.b.String()
	}
	return []byte(head + body + tail), nil
}

// markTail leaves the mark that postinst looks for, takes it away at postinst's
// end, and where there will be no postinst. It comes after the user's script,
// which may fail.
func markTail(name string, d Dialect) string {
	leave := "\tmkdir -p \"${distropack_mark%/*}\"\n\t: >\"$distropack_mark\"\n"
	drop := "\trm -f \"$distropack_mark\"\n\trmdir \"${distropack_mark%/*}\" 2>/dev/null || true\n"
	when := map[string][2]string{
		"preinst":  {`[ "${1-}" = install ] && [ -n "${2-}" ]`, `[ "${1-}" = upgrade ]`},
		"postinst": {`[ "${1-}" = configure ]`, `[ "${1-}" = configure ]`},
		"postrm": {
			`[ "${1-}" = purge ] || [ "${1-}" = abort-install ] || [ "${1-}" = disappear ]`,
			`[ "${1-}" = remove ]`,
		},
	}[name][d]
	if name == "preinst" {
		drop = leave
	}
	return "\nif " + when + "; then\n" + drop + "fi\n"
}

// runBody renders lines that run a user's script and end ours with its status if
// that is not 0.
//
// A body for sh runs in a subshell outside of any condition, so that its own
// "set -e" counts and its exit does not skip what follows. Any other is written to
// a file of its own and run by its interpreter, which also works where /tmp may not
// hold programs.
func runBody(body string) (string, error) {
	switch {
	case len(body) > maxScript:
		return "", fmt.Errorf("a script is %d bytes; at most %d are taken", len(body), maxScript)
	case strings.Contains(body, "\x00"):
		return "", fmt.Errorf("a script has a null byte")
	case strings.Contains(body, "\r\n"):
		return "", fmt.Errorf("a script has Windows line ends, which interpreters stumble over; save it with Unix ones")
	}
	const end = "distropack_status=$?\nset -e\n" +
		"if [ \"$distropack_status\" -ne 0 ]; then\n\texit \"$distropack_status\"\nfi\n"
	interpreter, flags, rest, err := shebang(body)
	if err != nil {
		return "", err
	}
	if rest != "" && !strings.HasSuffix(rest, "\n") {
		rest += "\n"
	}
	if interpreter == "" {
		return "set +e\n(\n" + flags + "\n" + rest + ")\n" + end, nil
	}
	if !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	word := delimiter(body)
	return "distropack_script=$(mktemp)\ncat >\"$distropack_script\" <<'" + word + "'\n" + body + word + "\nset +e\n" +
		interpreter + " \"$distropack_script\" ${1+\"$@\"}\n" +
		strings.Replace(end, "\n", "\nrm -f \"$distropack_script\"\n", 1), nil
}

// shebang takes the first line off a body. For sh, interpreter is "" and flags a
// command that sets its options; otherwise interpreter is the quoted command.
func shebang(body string) (interpreter, flags, rest string, err error) {
	line, after, _ := strings.Cut(body, "\n")
	if !strings.HasPrefix(line, "#!") {
		return "", ":", body, nil
	}
	// The kernel passes all that follows the program as one argument.
	program, arg := strings.Trim(line[2:], " \t"), ""
	if i := strings.IndexAny(program, " \t"); i > 0 {
		program, arg = program[:i], strings.TrimLeft(program[i:], " \t")
	}
	if !strings.HasPrefix(program, "/") {
		return "", "", "", fmt.Errorf("a script starts with %q, which names no program by its whole path", line)
	}
	switch {
	case slices.Contains([]string{"/bin/sh", "/usr/bin/sh"}, program) && arg == "",
		slices.Contains([]string{"/bin/env", "/usr/bin/env"}, program) && arg == "sh":
		return "", ":", after, nil
	case slices.Contains([]string{"/bin/sh", "/usr/bin/sh"}, program) &&
		len(arg) > 1 && arg[0] == '-' && strings.Trim(arg[1:], "efuvx") == "":
		return "", "set " + arg, after, nil
	}
	command := quote(program)
	if arg != "" {
		command += " " + quote(arg)
	}
	return command, "", after, nil
}

// quote makes s one word of sh.
func quote(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// delimiter returns a word that is no line of body.
func delimiter(body string) string {
	word := "DISTROPACK_SCRIPT"
	for slices.Contains(strings.Split(body, "\n"), word) {
		word += "_"
	}
	return word
}
