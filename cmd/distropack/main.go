// Command distropack turns a tag into packages and signed repositories.
//
// This package is flags, signals, text and exit codes; what is done lies in
// pipeline and below. One command per file, cmd_<verb>.go.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/publish"
)

// Exit codes, as "distropack help exit-codes" tells.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitConflict = 3
)

func main() {
	sandbox.Main()
	os.Exit(run())
}

func run() int {
	if code, is := appChild(os.Args[1:]); is {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(), now: time.Now()}
	return a.main(ctx, os.Args[1:])
}

// app is what a command may use: the streams, the environment and the clock enter
// the program here and nowhere else.
type app struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	now      time.Time

	dir     string // -C
	config  string
	json    bool
	verbose bool
	quiet   bool

	pause   func(ctx context.Context, n int) error // after the n-th conflict; nil means pause
	closers []func() error                         // of places, when the command has ended
}

func (a *app) main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	for _, c := range a.closers {
		if e := c(); e != nil {
			fmt.Fprintln(a.err, "distropack:", e) // what was to be done is done
		}
	}
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("interrupted: what was published stays as it was; run it again to go on")
	}
	a.fail(err)
	return exitCode(err)
}

// exitCode sorts errors into what a script wants to know.
func exitCode(err error) int {
	var usage *usageError
	switch {
	case errors.Is(err, publish.ErrConflict):
		return exitConflict
	case errors.As(err, &usage) || pipeline.IsConfig(err):
		return exitUsage
	}
	return exitFailed
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// fail prints an error: each of several on its own line.
func (a *app) fail(err error) {
	text := strings.ReplaceAll(err.Error(), pipeline.ErrUsage.Error()+": ", "")
	if a.json {
		json.NewEncoder(a.err).Encode(map[string]any{"error": text, "exitCode": exitCode(err)})
		return
	}
	fmt.Fprintln(a.err, a.red("distropack: ")+strings.ReplaceAll(text, "\n", "\n  "))
}

func (a *app) red(s string) string {
	if a.env("NO_COLOR") != "" || !isTerminal(a.err) {
		return s
	}
	return "\x1b[31m" + s + "\x1b[0m"
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0 && st.Mode()&os.ModeDevice != 0
}

func (a *app) env(name string) string {
	v, _ := a.lookup(name)
	return v
}

func (a *app) lookup(name string) (string, bool) {
	for _, kv := range a.environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// show prints v as JSON with --json, and by text otherwise.
func (a *app) show(v any, text func(w io.Writer)) error {
	if a.json {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	text(a.out)
	return nil
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "distropack",
		Short: "From a tag to apt upgrade on other people's machines",
		Long: `DistroPack packages a project for Debian, Fedora, Arch, Alpine, OpenWrt and
Homebrew, signs the packages, and publishes repositories that apt, dnf, zypper,
pacman, apk, opkg and brew install from.`,
		Example: `  distropack try                 release the sample project and look at the result
  distropack init                write a distropack.yml for this project
  distropack check               find all mistakes in it
  distropack release             packages, signatures, repositories, install page`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.SetVersionTemplate("distropack {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w: see %s --help", err, c.CommandPath())}
	})
	f := root.PersistentFlags()
	f.StringVarP(&a.dir, "directory", "C", ".", "the project's `folder`")
	f.StringVarP(&a.config, "config", "c", "distropack.yml", "the configuration, a `path` in the project")
	f.BoolVar(&a.json, "json", false, "print JSON")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "say what is done, and what commands print")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but errors and results")
	root.AddCommand(a.cmdTry(), a.cmdInit(), a.cmdCheck(), a.cmdPlan(), a.cmdBuild(), a.cmdRelease(), a.cmdTargets(), a.cmdKeys(), a.cmdRepo(), a.cmdServe(), a.cmdVerify(), a.cmdApp(), a.cmdSchema(), a.cmdDocs(), exitCodesTopic())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		refuseUnknown(c)
	}
	root.SetHelpCommand(helpCommand(root))
	root.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("unknown command %q: see distropack --help", args[0])
		}
		return nil
	}
	root.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return root
}

// refuseUnknown makes mistakes in arguments usage errors, for c and what is below.
func refuseUnknown(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return &usageError{fmt.Errorf("%w: see %s --help", err, c.CommandPath())}
			}
			return nil
		}
	}
	if c.PreRunE == nil {
		c.PreRunE = func(c *cobra.Command, _ []string) error {
			if err := c.ValidateRequiredFlags(); err != nil {
				return &usageError{fmt.Errorf("%w: see %s --help", err, c.CommandPath())}
			}
			return nil
		}
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q: see %s --help", args[0], c.CommandPath())
			}
			return nil
		}
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	for _, sub := range c.Commands() {
		refuseUnknown(sub)
	}
}

// helpCommand is cobra's, but that an unknown command is a mistake.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %q: see distropack --help", strings.Join(args, " "))
			}
			return c.Help()
		},
	}
}

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: `0  done, or there was nothing to do
1  failed: what was published stays as it was; run it again when the cause is gone
2  a mistake in the command line or the configuration
3  others published to the same tree at the same time, again and again`,
	}
}

// release is set by the linker in packages.
var release string

// version is the release's, the module's, or the commit it was built from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return strings.TrimPrefix(v, "v")
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "0.0.0-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "0.0.0-dev"
}
