package site

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/distropack/distropack/publish"
)

// install.sh is the tables and functions of this site, then what they are made
// of and main.
var (
	//go:embed install_tables.sh.tmpl
	scriptTables string
	//go:embed install_main.sh.tmpl
	scriptMain string
)

var scriptTemplate = template.Must(template.New("install.sh").
	Funcs(template.FuncMap{"quote": quote, "join": strings.Join, "line": oneLine}).Parse(scriptTables + scriptMain))

// quote makes s one word of a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// script is what the templates of install.sh are filled with.
type script struct {
	*Input
	Tables    []table
	Functions []function
	Notices   []notice
}

// notice is what is said about a package before it is installed.
type notice struct{ Key, Text string }

// table lists the guides of one channel.
type table struct {
	Channel string
	Rows    []row
}

type row struct {
	ID                     string // the client, with a number where it has several guides
	Key                    string // channel/ID, quoted where a shell would read it
	Title                  string
	Probe, CPUs, Families  string // "-" where empty
	Usual, Deprecated      []string
	Setup, Install, Remove string // names of functions
	Upgrade                string // one command
}

// function is a shell function; Body is whole lines, not indented, since it may
// hold here-documents.
type function struct{ Name, Comment, Body string }

// renderScript writes install.sh. Every function stands in it once, also where
// several channels share it.
func renderScript(in *Input) ([]byte, error) {
	s := script{Input: in}
	names := make(map[[2]string]string) // what a function does and its body → its name
	define := func(verb, client, comment, body string) string {
		at := [2]string{verb + "_" + client, body}
		if name, ok := names[at]; ok {
			return name
		}
		base := strings.ReplaceAll(at[0], "-", "_")
		name := base
		for n := 2; slices.ContainsFunc(s.Functions, func(f function) bool { return f.Name == name }); n++ {
			name = fmt.Sprintf("%s_%d", base, n)
		}
		names[at] = name
		s.Functions = append(s.Functions, function{name, comment, body})
		return name
	}
	for _, channel := range in.Channels {
		t := table{Channel: channel}
		for _, g := range in.Guides[channel] {
			r := row{
				ID: rowID(t.Rows, g.Client), Title: g.Title, Probe: orDash(g.Probe),
				CPUs: orDash(strings.Join(g.CPUs, ",")), Families: orDash(strings.Join(g.Families, ",")),
				Setup:   define("setup", g.Client, oneLine(g.Title)+": adds the repository.", body(g.Setup)),
				Install: define("install", g.Client, oneLine(g.Title)+": installs its arguments.", body(g.InstallSh)),
				Remove:  define("remove", g.Client, oneLine(g.Title)+": removes its arguments and the repository.", removeBody(g.Remove)),
			}
			r.Key = quote(channel + "/" + r.ID)
			r.Usual, r.Deprecated = in.names(channel, g.Client)
			if n := len(g.Upgrade); n > 0 && len(r.Usual) > 0 {
				r.Upgrade = oneLine(withPackage(g.Upgrade[n-1].Command, r.Usual[0]))
			}
			t.Rows = append(t.Rows, r)
		}
		s.Tables = append(s.Tables, t)
	}
	for _, p := range in.Packages {
		text := oneLine(p.Notice)
		if p.Deprecated != "" {
			text = strings.TrimSpace("deprecated: " + oneLine(p.Deprecated) + " " + text)
		}
		if text != "" {
			s.Notices = append(s.Notices, notice{quote(p.Channel + "/" + p.Name), p.Name + ": " + text})
		}
	}
	var b bytes.Buffer
	if err := scriptTemplate.Execute(&b, &s); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func rowID(rows []row, client string) string {
	id := client
	for n := 2; slices.ContainsFunc(rows, func(r row) bool { return r.ID == id }); n++ {
		id = fmt.Sprintf("%s-%d", client, n)
	}
	return id
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// oneLine keeps a comment a comment.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func body(s string) string {
	s = strings.Trim(s, "\n")
	if strings.TrimSpace(s) == "" {
		return "\t:\n"
	}
	lines := strings.Split(s, "\n")
	if strings.Contains(s, "<<") || strings.HasPrefix(s, "\t") || slices.ContainsFunc(lines, open) {
		return s + "\n"
	}
	return "\t" + strings.Join(lines, "\n\t") + "\n"
}

// open says that a line may end inside quotes or go on in the next one, so that
// what follows must not be indented.
func open(line string) bool {
	return strings.Count(line, "'")%2 == 1 || strings.Count(line, `"`)%2 == 1 || strings.HasSuffix(line, `\`)
}

// removeBody runs the steps people are told, once per package where they name one.
func removeBody(steps []publish.Step) string {
	if len(steps) == 0 {
		return "\tdie 'there is no way to remove it that this script knows'\n"
	}
	var b strings.Builder
	for _, s := range steps {
		if withPackage(s.Command, "") != s.Command {
			fmt.Fprintf(&b, "\tfor package in \"$@\"; do\n\t\tstep %s\n\tdone\n", quote(s.Command))
			continue
		}
		fmt.Fprintf(&b, "\tstep %s\n", quote(s.Command))
	}
	return b.String()
}

// withPackage puts a name where a command has $PACKAGE. Names need no quotes.
func withPackage(command, name string) string {
	return strings.NewReplacer(`"$PACKAGE"`, name, "${PACKAGE}", name, "$PACKAGE", name).Replace(command)
}
