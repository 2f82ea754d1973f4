package sandbox

import (
	"debug/elf"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// mounts lists what is shown inside, outer folders before inner ones.
func (r *runner) mounts() ([]mount, error) {
	all := map[string]mount{
		programPath: {Outside: r.Exe},
		stagePath:   {Outside: r.self},
		"/tmp":      {Outside: r.tmp(), Write: true},
	}
	for _, name := range devices {
		all[name] = mount{Outside: name, Device: true}
	}
	for _, exe := range []string{r.Exe, r.self} {
		dynamic, err := needsLoader(exe)
		if err != nil {
			return nil, fmt.Errorf("program: %w", err)
		}
		if dynamic {
			for _, dir := range []string{"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/etc/ld.so.cache"} {
				if _, err := os.Stat(dir); err == nil {
					all[dir] = mount{Outside: dir}
				}
			}
		}
	}
	for inside, outside := range r.ReadOnly {
		all[inside] = mount{Outside: outside}
	}
	for inside, outside := range r.ReadWrite {
		if all[inside].Outside != "" && inside != "/tmp" {
			return nil, fmt.Errorf("%s inside is to be two things", inside)
		}
		all[inside] = mount{Outside: outside, Write: true}
	}
	var list []mount
	for _, inside := range slices.Sorted(maps.Keys(all)) {
		m := all[inside]
		m.Inside = inside
		// The place is looked up now: by then a link may lead elsewhere.
		var err error
		if m.Outside, err = filepath.EvalSymlinks(m.Outside); err != nil {
			return nil, fmt.Errorf("path for %s: %w", inside, err)
		}
		list = append(list, m)
	}
	return list, nil
}

// needsLoader reports whether a program is linked with libraries.
func needsLoader(name string) (bool, error) {
	f, err := elf.Open(name)
	if err != nil {
		return false, fmt.Errorf("%s is no program that can be run: %w", name, err)
	}
	defer f.Close()
	return slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }), nil
}

// bubblewrap renders the arguments of bwrap, of which nothing is secret.
func (r *runner) bubblewrap(mounts []mount, info int, stageFDs []string) []string {
	args := []string{
		"--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
		"--disable-userns", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--cap-drop", "ALL",
		"--die-with-parent", "--new-session", "--info-fd", fmt.Sprint(info),
		"--proc", "/proc", "--remount-ro", "/proc",
	}
	for _, m := range mounts {
		how := "--ro-bind"
		switch {
		case m.Device:
			how = "--dev-bind"
		case m.Write:
			how = "--bind"
		}
		args = append(args, how, m.Outside, m.Inside)
	}
	// Its root is a tmpfs without a limit.
	args = append(args, "--remount-ro", "/", "--chdir", "/", "--", stagePath, "exec")
	return append(args, stageFDs...)
}
