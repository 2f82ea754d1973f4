package rpm

import (
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
)

// ifRunning guards what needs a running systemd, which images, containers and
// other init systems have not.
const ifRunning = "if [ -d /run/systemd/system ]; then\n"

// serviceCommands looks after units. Whatever systemctl answers, the package
// itself is in order, so nothing here fails.
func serviceCommands(services []formats.Service) (install, upgrade, stop, reload string) {
	if len(services) == 0 {
		return "", "", "", ""
	}
	var enable, start, restart, halt, disable []string
	for _, s := range services {
		unit := quote(s.Unit)
		if s.Enable {
			enable = append(enable, "systemctl --quiet enable "+unit)
		}
		if s.Start {
			start = append(start, "systemctl start "+unit)
			restart = append(restart, "systemctl try-restart "+unit)
		}
		halt = append(halt, "systemctl stop "+unit)
		disable = append(disable, "systemctl --quiet disable "+unit)
	}
	const daemonReload = "systemctl daemon-reload"
	// Units are enabled and disabled by links alone, which works in an image too.
	const ifThere = "if command -v systemctl >/dev/null 2>&1; then\n"
	install = block(ifRunning, []string{daemonReload}) + block(ifThere, enable) + block(ifRunning, start)
	upgrade = block(ifRunning, append([]string{daemonReload}, restart...))
	stop = block(ifRunning, halt) + block(ifThere, disable)
	reload = block(ifRunning, []string{daemonReload})
	return install, upgrade, stop, reload
}

func block(open string, commands []string) string {
	if len(commands) == 0 {
		return ""
	}
	return open + "\t" + strings.Join(commands, " || true\n\t") + " || true\nfi\n"
}

// checkUnit refuses what is no name of a systemd unit.
func checkUnit(unit string) error {
	if len(unit) > 255 || !strings.Contains(unit, ".") || strings.HasPrefix(unit, "-") || strings.HasPrefix(unit, ".") {
		return fmt.Errorf("service %q is not the name of a unit, such as hello.service", unit)
	}
	for i := range len(unit) {
		if c := unit[i]; !isAlnum(c) && strings.IndexByte(":-_.\\@", c) < 0 {
			return fmt.Errorf("service %q has the character %q; units take letters, digits and : - _ . \\ @", unit, c)
		}
	}
	return nil
}
