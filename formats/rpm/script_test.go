package rpm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

// talking has every script write down its name and rpm's argument.
func talking(version string, upgrade bool) *formats.Spec {
	say := func(what string) string { return "echo \"" + version + " " + what + " $1\" >>/log\n" }
	s := &formats.Spec{Name: "talk", Version: version, Time: released}
	s.Scripts = formats.Scripts{
		PreInstall: say("preinstall"), PostInstall: "#!/bin/sh\n" + say("postinstall") + "exit 0\n",
		PreRemove: say("preremove"), PostRemove: say("postremove"),
	}
	if upgrade {
		s.Scripts.PreUpgrade, s.Scripts.PostUpgrade = say("preupgrade"), say("postupgrade")
	}
	s.Services = []formats.Service{{Unit: "talk.service", Enable: true, Start: true}, {Unit: "idle@x.timer"}}
	return s
}

func lines(s ...string) string { return strings.Join(s, "\n") + "\n" }

func TestScriptsRunAtTheirMoments(t *testing.T) {
	for _, upgrade := range []bool{false, true} {
		r := newRoot(t)
		f := newTestFormat(t, Options{}, nil)
		r.rpm("-i", "--nodeps", save(t, f, talking("1", upgrade), amd64, nil))
		want := lines("1 preinstall 1", "1 postinstall 1", "systemctl daemon-reload",
			"systemctl --quiet enable talk.service", "systemctl start talk.service")
		if got := r.log(); got != want {
			t.Errorf("installation ran\n%swant\n%s", got, want)
		}
		r.rpm("-U", "--nodeps", save(t, f, talking("2", upgrade), amd64, nil))
		want = lines("2 preinstall 2", "2 postinstall 2", "systemctl daemon-reload", "systemctl try-restart talk.service")
		if upgrade {
			want = strings.ReplaceAll(want, "install 2", "upgrade 2")
		}
		if got := r.log(); got != want {
			t.Errorf("upgrade ran\n%swant\n%s", got, want)
		}
		r.rpm("-e", "talk")
		want = lines("systemctl stop talk.service", "systemctl stop idle@x.timer",
			"systemctl --quiet disable talk.service", "systemctl --quiet disable idle@x.timer",
			"2 preremove 0", "systemctl daemon-reload", "2 postremove 0")
		if got := r.log(); got != want {
			t.Errorf("removal ran\n%swant\n%s", got, want)
		}
	}
}

func TestServicesAreOnlyEnabledWhereSystemdDoesNotRun(t *testing.T) {
	r := newRoot(t)
	if err := os.Remove(filepath.Join(r.dir, "run/systemd/system")); err != nil {
		t.Fatal(err)
	}
	f := newTestFormat(t, Options{}, nil)
	spec := talking("1", false)
	spec.Scripts = formats.Scripts{}
	r.rpm("-i", "--nodeps", save(t, f, spec, amd64, nil))
	r.rpm("-e", "talk")
	want := lines("systemctl --quiet enable talk.service", "systemctl --quiet disable talk.service", "systemctl --quiet disable idle@x.timer")
	if got := r.log(); got != want {
		t.Errorf("ran\n%swant\n%s", got, want)
	}
	if err := os.Remove(filepath.Join(r.dir, "bin/systemctl")); err != nil {
		t.Fatal(err)
	}
	r.rpm("-i", "--nodeps", save(t, f, spec, amd64, nil))
	r.rpm("-e", "talk")
}

func TestOtherInterpretersRunInsideOurScripts(t *testing.T) {
	r := newRoot(t)
	f := newTestFormat(t, Options{}, nil)
	spec := talking("1", false)
	awk := "#!/bin/awk -f\nBEGIN { print \"awk WORD $HOME `id` DISTROPACK_END\" >>\"/log\"; exit 0 }"
	spec.Scripts = formats.Scripts{
		PreInstall:  strings.ReplaceAll(awk, "WORD", "pre"),
		PostInstall: strings.ReplaceAll(awk, "WORD", "post"),
		PreRemove:   "#!/bin/sh -e\nfalse\necho never >>/log\n",
	}
	name := save(t, f, spec, amd64, nil)
	if got := run(t, "rpm", "-qp", "--requires", name); strings.Count(got, "/bin/awk") != 2 {
		t.Errorf("requires do not name /bin/awk for %%pre and %%post: %s", got)
	}
	r.rpm("-i", "--nodeps", name)
	want := lines("awk pre $HOME `id` DISTROPACK_END", "awk post $HOME `id` DISTROPACK_END", "systemctl daemon-reload",
		"systemctl --quiet enable talk.service", "systemctl start talk.service")
	if got := r.log(); got != want {
		t.Errorf("installation ran\n%swant\n%s", got, want)
	}
	if left, _ := filepath.Glob(filepath.Join(r.dir, "tmp/*")); len(left) != 0 {
		t.Errorf("scripts left %v", left)
	}
	if out, err := r.try("-e", "talk"); err == nil || strings.Contains(r.log(), "never") {
		t.Errorf("set -e had no effect: %s", out)
	}
}

func TestFailingScriptsFailTheInstallation(t *testing.T) {
	for _, body := range []string{"exit 7\n", "#!/bin/sh -e\nfalse\ntrue\n", "#!/bin/awk -f\nBEGIN { exit 7 }\n", "set -e\nfalse\ntrue"} {
		for _, services := range [][]formats.Service{nil, {{Unit: "a.service", Start: true, Enable: true}}} {
			r := newRoot(t)
			f := newTestFormat(t, Options{}, nil)
			spec := &formats.Spec{Name: "bad", Version: "1", Time: released, Services: services}
			spec.Scripts.PreInstall = body
			if out, err := r.try("-i", "--nodeps", save(t, f, spec, amd64, nil)); err == nil {
				t.Errorf("%q before installation: rpm went on: %s", body, out)
			}
			if out, err := r.try("-q", "bad"); err == nil {
				t.Errorf("%q before installation: rpm lists %s", body, out)
			}
			spec.Scripts = formats.Scripts{PostInstall: body}
			if out, err := r.try("-i", "--nodeps", save(t, f, spec, amd64, nil)); err == nil {
				t.Errorf("%q after installation: rpm ended well: %s", body, out)
			}
			if got := r.log(); strings.Contains(got, "start") {
				t.Errorf("%q after installation: services were started: %s", body, got)
			}
		}
	}
}

// everyScript gives a body of each kind to every script.
func everyScript() []*formats.Spec {
	var specs []*formats.Spec
	for _, body := range []string{"true", "#!/bin/sh\n# nothing", "#!/bin/sh -eu\ncase $1 in a) ;; esac\ncat <<X\n)\nX\n", "#!/usr/bin/env python3\nprint('it''s')"} {
		for _, services := range [][]formats.Service{nil, {{Unit: "a.service", Start: true}, {Unit: "b.socket", Enable: true}}} {
			for mask := range 64 {
				pick := func(bit int) string {
					if mask>>bit&1 == 1 {
						return body
					}
					return ""
				}
				specs = append(specs, &formats.Spec{Services: services, Scripts: formats.Scripts{
					PreInstall: pick(0), PostInstall: pick(1), PreRemove: pick(2), PostRemove: pick(3), PreUpgrade: pick(4), PostUpgrade: pick(5),
				}})
			}
		}
	}
	return specs
}

func TestScriptsAreCleanPOSIX(t *testing.T) {
	dir := t.TempDir()
	seen := map[string]string{}
	for _, spec := range everyScript() {
		list, err := scriptlets(spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.argv[0] != "/bin/sh" || seen[s.body] != "" {
				continue
			}
			body := s.body
			if !strings.HasPrefix(body, "#!") {
				body = "#!/bin/sh\n" + body
			}
			name := filepath.Join(dir, string(rune('a'+len(seen)/26))+string(rune('a'+len(seen)%26)))
			seen[s.body] = name
			if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(seen) < 20 {
		t.Fatalf("only %d scripts", len(seen))
	}
	var names []string
	for _, name := range seen {
		names = append(names, name)
		run(t, "dash", "-n", name)
	}
	run(t, "shellcheck", append([]string{"-s", "sh"}, names...)...)
}

func TestBadScriptsAreRefused(t *testing.T) {
	for body, want := range map[string]string{
		"#!/bin/sh\r\ntrue\r\n": `script's line "#!/bin/sh\r" ends in a carriage return; save it with unix line ends`,
		"#!python\n":            `script's line "#!python" names no interpreter by an absolute path`,
		"#!\n":                  `script's line "#!" names no interpreter by an absolute path`,
		"a\x00b":                "script has a zero byte; it must be text",
	} {
		for script, s := range map[string]formats.Scripts{
			"%pre: ": {PreInstall: body}, "%post: ": {PostUpgrade: body}, "%preun: ": {PreRemove: body}, "%postun: ": {PostRemove: body},
		} {
			if _, err := scriptlets(&formats.Spec{Scripts: s}); err == nil || err.Error() != script+want {
				t.Errorf("got %v, want %s%s", err, script, want)
			}
		}
	}
	for unit, want := range map[string]string{
		"": `service "" is not the name of a unit, such as hello.service`, "hello": `service "hello" is not the name of a unit`,
		"a b.service": `service "a b.service" has the character ' '`, "../a.service": `service "../a.service" `,
		"a';b.service": `service "a';b.service" has the character '\''`, "-a.service": `service "-a.service" `,
	} {
		if _, err := scriptlets(&formats.Spec{Services: []formats.Service{{Unit: unit}}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
