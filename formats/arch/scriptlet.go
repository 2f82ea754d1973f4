package arch

import (
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/systemd"
)

// maxScript bounds the body of one script.
const maxScript = 1 << 20

// moments are the functions pacman calls, with the new version and, on an upgrade,
// the old one; on removal with the installed one.
var moments = []string{"pre_install", "post_install", "pre_upgrade", "post_upgrade", "pre_remove", "post_remove"}

// scriptlet renders .INSTALL, or nothing where nothing is to be done. The
// functions are POSIX sh: bash's "function name" is an error where /bin/sh is not
// bash.
func scriptlet(spec *formats.Spec, files []formats.File) ([]byte, error) {
	s := &spec.Scripts
	for _, unit := range spec.Services {
		if !isName(unit.Unit, ":_.@-\\") || unit.Unit[0] == '-' {
			return nil, fmt.Errorf("service %q is not a unit's name", unit.Unit)
		}
	}
	preUpgrade, postUpgrade := s.PreUpgrade, s.PostUpgrade
	if preUpgrade == "" {
		preUpgrade = s.PreInstall
	}
	if postUpgrade == "" {
		postUpgrade = s.PostInstall
	}
	owners := owners(files)
	var out strings.Builder
	for i, m := range []struct{ before, what, body, after string }{
		{"", "preinstall", s.PreInstall, ""},
		{owners, "postinstall", s.PostInstall, systemd.Start("\t", spec.Services)},
		{"", "preupgrade", preUpgrade, ""},
		{owners, "postupgrade", postUpgrade, systemd.Restart("\t", spec.Services)},
		{"", "preremove", s.PreRemove, systemd.Stop("\t", spec.Services)},
		{systemd.Reload("\t", spec.Services), "postremove", s.PostRemove, ""},
	} {
		body, err := runBody(m.what, m.body)
		if err != nil {
			return nil, err
		}
		if m.before == "" && body == "" && m.after == "" {
			continue
		}
		fmt.Fprintf(&out, "%s() {\n%s%s", moments[i], m.before, body)
		switch {
		case body != "" && m.after == "":
			out.WriteString("\treturn \"$distropack_status\"\n")
		case body != "" && moments[i] == "pre_remove":
			// pacman removes the files whatever the script says, so the services
			// must be stopped in any case.
			out.WriteString(m.after + "\treturn \"$distropack_status\"\n")
		case body != "":
			out.WriteString("\t[ \"$distropack_status\" -eq 0 ] || return \"$distropack_status\"\n" + m.after + "\treturn 0\n")
		default:
			out.WriteString(m.after + "\treturn 0\n")
		}
		out.WriteString("}\n\n")
	}
	if out.Len() == 0 {
		return nil, nil
	}
	// pacman decides by a search for the words alone whether to call a function, so a
	// body that merely mentions one needs the function to be there.
	text := out.String()
	for _, name := range moments {
		if strings.Contains(text, name) && !strings.HasPrefix(text, name+"() {\n") && !strings.Contains(text, "\n}\n\n"+name+"() {\n") {
			fmt.Fprintf(&out, "%s() {\n\treturn 0\n}\n\n", name)
		}
	}
	return []byte("# shellcheck shell=sh\n# Written by DistroPack. pacman calls these functions.\n\n" + strings.TrimSuffix(out.String(), "\n")), nil
}

// runBody renders the lines that run a user's script inside a function and leave its
// exit status in distropack_status. Plain sh runs in a subshell, so that exit and
// set -e in it end no more than itself; a script for another interpreter goes
// into a temporary file first, which need not be executable.
func runBody(what, body string) (string, error) {
	first, _, _ := strings.Cut(body, "\n")
	switch {
	case strings.ContainsRune(body, 0):
		return "", fmt.Errorf("the %s script has a NUL byte; only text scripts can run", what)
	case len(body) > maxScript:
		return "", fmt.Errorf("the %s script is longer than %d bytes; put it into the package and call it", what, maxScript)
	case strings.HasSuffix(first, "\r"):
		return "", fmt.Errorf("the %s script has Windows line ends; save it with LF alone", what)
	case isIdle(body):
		return "", nil
	}
	if !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	interpreter, arg := shebang(first)
	var b strings.Builder
	switch {
	case interpreter == "" || isShell(interpreter, arg):
		b.WriteString("\t(\n")
		if strings.HasPrefix(arg, "-") {
			b.WriteString("set " + arg + "\n")
		}
		b.WriteString(body + "\t)\n\tdistropack_status=$?\n")
	default:
		end := "DISTROPACK_END"
		for strings.Contains("\n"+body, "\n"+end+"\n") {
			end += "_"
		}
		b.WriteString("\tdistropack_script=$(mktemp) || return 1\n")
		b.WriteString("\tcat >\"$distropack_script\" <<'" + end + "' || return 1\n" + body + end + "\n")
		b.WriteString("\t" + quote(interpreter))
		if arg != "" {
			b.WriteString(" " + quote(arg))
		}
		b.WriteString(" \"$distropack_script\" \"$@\"\n\tdistropack_status=$?\n\trm -f \"$distropack_script\"\n")
	}
	return b.String(), nil
}

// isIdle reports whether body is for a shell and only blank lines and comments. As
// the whole of a subshell they would be a syntax error.
func isIdle(body string) bool {
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return false
		}
	}
	return true
}

// shebang takes a #! line apart as the kernel does: everything behind the
// interpreter is one argument.
func shebang(line string) (interpreter, arg string) {
	rest, ok := strings.CutPrefix(line, "#!")
	if !ok {
		return "", ""
	}
	rest = strings.Trim(rest, " \t")
	i := strings.IndexAny(rest, " \t")
	if i < 0 {
		return rest, ""
	}
	return rest[:i], strings.Trim(rest[i:], " \t")
}

// isShell reports whether a subshell of /bin/sh does the same as the interpreter:
// arg is nothing, or options that set takes.
func isShell(interpreter, arg string) bool {
	if interpreter == "/usr/bin/env" {
		return arg == "sh"
	}
	return (interpreter == "/bin/sh" || interpreter == "/usr/bin/sh") &&
		(arg == "" || len(arg) > 1 && arg[0] == '-' && strings.Trim(arg[1:], "eux") == "")
}

// owners renders the lines that give files to owners other than root. pacman takes
// the numbers in the archive and never looks for names, and a name's number
// is known on the machine alone.
func owners(files []formats.File) string {
	var b strings.Builder
	for i := range files {
		f := &files[i]
		_, user := number(f.OwnerOr())
		_, group := number(f.GroupOr())
		if user && group {
			continue
		}
		fmt.Fprintf(&b, "\tchown -h %s %s || true\n", quote(f.OwnerOr()+":"+f.GroupOr()), quote(f.Path))
		if f.UnixMode()&0o6000 != 0 && f.Type != formats.Symlink { // chown takes these bits away
			fmt.Fprintf(&b, "\tchmod %04o %s || true\n", f.UnixMode(), quote(f.Path))
		}
	}
	return b.String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
