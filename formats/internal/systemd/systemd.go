// Package systemd writes the shell that looks after a package's units, for formats
// whose scripts run at moments of their own (apk, arch). deb and rpm have their
// distributions' dialects.
package systemd

import (
	"strings"

	"github.com/distropack/distropack/formats"
)

// booted guards what needs a running systemd, which postmarketOS has and Alpine
// has not; installed what makes links only, and so works while an image is made.
// Neither fails the package.
const (
	booted    = "if [ -d /run/systemd/system ]; then\n"
	installed = "if command -v systemctl >/dev/null 2>&1; then\n"
)

// Start follows a first installation. Its lines begin with indent.
func Start(indent string, services []formats.Service) string {
	return Reload(indent, services) +
		systemctl(indent, installed, "enable", services, func(s formats.Service) bool { return s.Enable }) +
		systemctl(indent, booted, "start", services, starts)
}

// Restart follows an upgrade.
func Restart(indent string, services []formats.Service) string {
	return Reload(indent, services) + systemctl(indent, booted, "try-restart", services, starts)
}

// Stop precedes a removal.
func Stop(indent string, services []formats.Service) string {
	all := func(formats.Service) bool { return true }
	return systemctl(indent, booted, "stop", services, func(s formats.Service) bool { return !isTemplate(s.Unit) }) +
		systemctl(indent, installed, "disable", services, all)
}

// Reload makes systemd read its units again.
func Reload(indent string, services []formats.Service) string {
	if len(services) == 0 {
		return ""
	}
	return indent + booted + indent + "\tsystemctl daemon-reload || true\n" + indent + "fi\n"
}

func starts(s formats.Service) bool { return s.Start && !isTemplate(s.Unit) }

// isTemplate reports whether unit is "name@.service", which can't be started.
func isTemplate(unit string) bool { return strings.Contains(unit, "@.") }

// systemctl calls verb for one unit after the other, so that a missing one does
// not keep the others from it.
func systemctl(indent, guard, verb string, services []formats.Service, which func(formats.Service) bool) string {
	var b strings.Builder
	for _, s := range services {
		if which(s) {
			b.WriteString(indent + "\tsystemctl " + verb + " " + quote(s.Unit) + " || true\n")
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return indent + guard + b.String() + indent + "fi\n"
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
