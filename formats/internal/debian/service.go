package debian

import (
	"strings"

	"github.com/distropack/distropack/formats"
)

// running stands before calls of systemctl where systemd runs. On OpenRC, on OpenWrt and in chroots
// there is no /run/systemd/system, and nothing happens. No failure of it fails the
// package.
const running = "if [ -d /run/systemd/system ]; then"

// present is enough for enabling, which makes links only, so it also works while an image is built.
const present = "if command -v systemctl >/dev/null 2>&1; then"

const reload = "\t" + running + "\n\t\tsystemctl daemon-reload >/dev/null || true\n\tfi\n"

func startUnits(services []formats.Service) string {
	enabled := names(services, func(s formats.Service) bool { return s.Enable })
	return reload + call(present, "enable", enabled) + call(running, "start", started(services))
}

func restartUnits(services []formats.Service) string {
	return reload + call(running, "try-restart", started(services))
}

func stopUnits(services []formats.Service) string {
	all := names(services, func(formats.Service) bool { return true })
	return call(running, "stop", all) + call(present, "disable", all)
}

func started(services []formats.Service) []string {
	return names(services, func(s formats.Service) bool { return s.Start })
}

func names(services []formats.Service, which func(formats.Service) bool) []string {
	var units []string
	for _, s := range services {
		if which(s) {
			units = append(units, quote(s.Unit))
		}
	}
	return units
}

// call names one unit after the other: systemctl enables none of several where one
// is missing.
func call(test, verb string, units []string) string {
	if len(units) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\t" + test + "\n")
	for _, u := range units {
		b.WriteString("\t\tsystemctl " + verb + " " + u + " >/dev/null || true\n")
	}
	b.WriteString("\tfi\n")
	return b.String()
}
