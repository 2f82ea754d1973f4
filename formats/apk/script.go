package apk

import (
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/systemd"
)

// maxScript is apk 3's bound on a script; above it the package can't be installed.
const maxScript = 256 << 10

// script is one of the control part's programs. apk calls it with the version, on
// an upgrade with the new and the old one.
type script struct{ name, text string }

// scripts renders what apk runs; those that would do nothing are left out. apk
// runs no script of the old version on an upgrade.
func scripts(spec *formats.Spec) ([]script, error) {
	s := &spec.Scripts
	for _, unit := range spec.Services {
		if !isMadeOf(unit.Unit, ":_.@-\\") || unit.Unit[0] == '-' {
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
	var all []script
	for _, m := range []struct {
		name, what, before, body, after string
	}{
		{".pre-install", "preinstall", "", s.PreInstall, ""},
		{".post-install", "postinstall", "", s.PostInstall, systemd.Start("", spec.Services)},
		{".pre-upgrade", "preupgrade", "", preUpgrade, ""},
		{".post-upgrade", "postupgrade", "", postUpgrade, systemd.Restart("", spec.Services)},
		{".pre-deinstall", "preremove", "", s.PreRemove, systemd.Stop("", spec.Services)},
		{".post-deinstall", "postremove", systemd.Reload("", spec.Services), s.PostRemove, ""},
	} {
		if err := checkBody(m.what, m.body); err != nil {
			return nil, err
		}
		text := combine(m.before, m.body, m.after, m.name == ".pre-deinstall")
		if len(text) > maxScript {
			return nil, fmt.Errorf("the %s script is longer than the %d bytes apk allows; put it into the package and call it", m.what, maxScript)
		}
		if text != "" {
			all = append(all, script{m.name, text})
		}
	}
	return all, nil
}

func checkBody(what, body string) error {
	first, _, _ := strings.Cut(body, "\n")
	switch {
	case strings.ContainsRune(body, 0):
		return fmt.Errorf("the %s script has a NUL byte; only text scripts can run", what)
	case strings.HasSuffix(first, "\r"):
		return fmt.Errorf("the %s script has Windows line ends; save it with LF alone", what)
	}
	return nil
}

// combine returns a program that does what before, body and after do, one after
// the other. A body alone stays as it is. After a failed body only a removal goes
// on, for apk removes the files in any case; the exit status is the body's.
func combine(before, body, after string, goOn bool) string {
	if isIdle(body) {
		body = ""
	}
	if body != "" && !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	switch {
	case before+after == "" && (body == "" || strings.HasPrefix(body, "#!")):
		return body
	case before+after == "":
		return "#!/bin/sh\n" + body
	case body == "":
		return "#!/bin/sh\n" + before + after + "exit 0\n"
	}
	text := "#!/bin/sh\n" + before + runBody(body)
	switch {
	case after == "":
	case goOn:
		text += after
	default:
		text += "[ \"$distropack_status\" -eq 0 ] || exit \"$distropack_status\"\n" + after
	}
	return text + "exit \"$distropack_status\"\n"
}

// runBody renders the lines that run a user's script and leave its exit status in
// distropack_status. Plain sh runs in a subshell, so that exit and set -e in it end no
// more than itself; a script for another interpreter goes into a temporary file
// first, which need not be executable.
func runBody(body string) string {
	first, _, _ := strings.Cut(body, "\n")
	interpreter, arg := shebang(first)
	if interpreter == "" || isShell(interpreter, arg) {
		options := ""
		if strings.HasPrefix(arg, "-") {
			options = "set " + arg + "\n"
		}
		return "(\n" + options + body + ")\ndistropack_status=$?\n"
	}
	delimiter := "DISTROPACK_END"
	for strings.Contains("\n"+body, "\n"+delimiter+"\n") {
		delimiter += "_"
	}
	command := quote(interpreter)
	if arg != "" {
		command += " " + quote(arg)
	}
	return "distropack_script=$(mktemp) || exit 1\n" +
		"cat >\"$distropack_script\" <<'" + delimiter + "' || exit 1\n" + body + delimiter + "\n" +
		command + " \"$distropack_script\" \"$@\"\ndistropack_status=$?\nrm -f \"$distropack_script\"\n"
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
	return interpreter == "/bin/sh" && (arg == "" || len(arg) > 1 && arg[0] == '-' && strings.Trim(arg[1:], "eux") == "")
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
