package arch

import (
	"strings"

	"github.com/distropack/distropack/formats"
)

// booted guards what needs a running systemd; installed what makes links only, and
// so works while an image is made. Neither fails the package.
const (
	booted    = "\tif [ -d /run/systemd/system ]; then\n"
	installed = "\tif command -v systemctl >/dev/null 2>&1; then\n"
)

func startUnits(services []formats.Service) string {
	return reload(services) +
		systemctl(installed, "enable", services, func(s formats.Service) bool { return s.Enable }) +
		systemctl(booted, "start", services, starts)
}

func restartUnits(services []formats.Service) string {
	return reload(services) + systemctl(booted, "try-restart", services, starts)
}

func stopUnits(services []formats.Service) string {
	all := func(formats.Service) bool { return true }
	return systemctl(booted, "stop", services, func(s formats.Service) bool { return !isTemplate(s.Unit) }) +
		systemctl(installed, "disable", services, all)
}

func reload(services []formats.Service) string {
	if len(services) == 0 {
		return ""
	}
	return booted + "\t\tsystemctl daemon-reload || true\n\tfi\n"
}

func starts(s formats.Service) bool { return s.Start && !isTemplate(s.Unit) }

// isTemplate reports whether unit is "name@.service", which can't be started.
func isTemplate(unit string) bool { return strings.Contains(unit, "@.") }

// systemctl calls verb for one unit after the other, so that a missing one does
// not keep the others from it.
func systemctl(guard, verb string, services []formats.Service, which func(formats.Service) bool) string {
	var b strings.Builder
	for _, s := range services {
		if which(s) {
			b.WriteString("\t\tsystemctl " + verb + " " + quote(s.Unit) + " || true\n")
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return guard + b.String() + "\tfi\n"
}
