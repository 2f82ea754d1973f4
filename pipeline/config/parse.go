package config

import (
	"path"
	"path/filepath"
	"reflect"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Options is what Parse knows of the world.
type Options struct {
	// Env looks up the variables of ${VAR}: the environment first, then .env.
	// Where nil, every variable is undefined.
	Env func(name string) (value string, ok bool)

	Formats []formats.Kind            // what packages can be made of
	Clients []publish.RepoKind        // what sites can serve
	Places  []publish.DestinationKind // where trees can lie, besides a folder
}

// Parse reads a distropack.yml. name is what errors call it; its folder becomes
// the project's Dir. The result has every default filled in. err is nil or the
// Errors of the whole file; the Project is nil then.
func Parse(name string, data []byte, opts Options) (*Project, error) {
	if opts.Env == nil {
		opts.Env = func(string) (string, bool) { return "", false }
	}
	l := &loader{file: name, env: opts.Env, first: "distropack init writes a first one"}
	root := l.load(data)
	if root == nil {
		return nil, l.errs.sorted()
	}
	p := &Project{File: name, Dir: path.Dir(filepath.ToSlash(name))}
	(&decoder{l, &opts}).value(root, reflect.ValueOf(p).Elem(), nil)
	c := &checker{l: l, p: p, root: root, opts: &opts}
	c.known()
	c.project()
	if err := l.errs.sorted(); err != nil {
		return nil, err
	}
	p.Sum = root.sum()
	p.fill(&opts)
	return p, nil
}
