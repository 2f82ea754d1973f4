package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	server "github.com/distropack/distropack/app"
	"github.com/distropack/distropack/app/sandbox"
)

// appFlags are those of the server. Each has a variable, DISTROPACK_APP_ and its name.
type appFlags struct {
	appData
	listen, url, metrics                 string
	githubAPI, githubWeb                 string
	appID                                int64
	keyFile, secretFile                  string
	clientID, clientSecretFile           string
	admins                               []int64
	node                                 string
	folders                              string
	noSandbox, insecure, private, check  bool
	workers                              int
	jobsPerHour, minutesPerDay, maxDaily int64
}

// appData is where a server's data is, and how commands about it log.
type appData struct {
	dir, database, passwordFile string
	logFormat, logLevel         string
}

func (o *appData) flags(f *pflag.FlagSet) {
	f.StringVar(&o.dir, "dir", "distropack-app", "the `folder` for the database, the identities and scratch files")
	f.StringVar(&o.database, "database", "", "the database's `address`, sqlite:PATH or postgres://USER@HOST/NAME; app.db in --dir where absent")
	f.StringVar(&o.passwordFile, "database-password-file", "", "the `file` with the password of Postgres")
	f.StringVar(&o.logFormat, "log", "text", "how to log, to standard error: text or json, a `format`")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error: the least `level` that is logged")
}

func (a *app) cmdApp() *cobra.Command {
	o := new(appFlags)
	c := &cobra.Command{
		Use:   "app",
		Short: "Run the GitHub App: push a tag, and it is published",
		Long: `App is a server. People install its GitHub App on their repositories; a tag that is
pushed to one with a distropack.yml is packaged, signed and published, and a check on
the commit says how it went. On an empty folder it prints a link for setting it up.

Every flag may be given as a variable too: --github-api is DISTROPACK_APP_GITHUB_API.
Secrets are never flags. They come from files, or from these variables:

  DISTROPACK_APP_KEY                 the App's private key, --app-key-file
  DISTROPACK_APP_WEBHOOK_SECRET      one a line while it changes, --webhook-secret-file
  DISTROPACK_APP_CLIENT_SECRET       --client-secret-file
  DISTROPACK_APP_DATABASE_PASSWORD   --database-password-file

docs/app.md says how to host it: systemd, a proxy, backups, upgrades, Postgres.`,
		Example: `  distropack app --url https://packages.example.org --dir /var/lib/distropack
  distropack app --insecure                      on this machine only, to try it
  distropack app --url https://packages.example.org --check
  DISTROPACK_APP_DATABASE_PASSWORD=… distropack app --url https://packages.example.org \
    --database postgres://distropack@db.example.org/distropack --node $(hostname)`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.runApp(c, o) },
	}
	f := c.Flags()
	o.appData.flags(f)
	f.StringVarP(&o.listen, "listen", "l", "127.0.0.1:8080", "the `address` to listen at; a proxy before it speaks https")
	f.StringVar(&o.url, "url", "", "the public `address`, https://HOST")
	f.StringVar(&o.metrics, "metrics", "", "an `address` for /metrics alone; at --listen where absent")
	f.StringVar(&o.githubAPI, "github-api", "", "the `address` of a GitHub Enterprise Server's API, https://HOST/api/v3")
	f.StringVar(&o.githubWeb, "github-web", "", "the `address` of its pages, https://HOST")
	f.Int64Var(&o.appID, "app-id", 0, "the GitHub App's `id`, where it was made by hand")
	f.StringVar(&o.keyFile, "app-key-file", "", "the `file` with its private key")
	f.StringVar(&o.secretFile, "webhook-secret-file", "", "the `file` with its webhook secret, one a line while it changes")
	f.StringVar(&o.clientID, "client-id", "", "its client `id`")
	f.StringVar(&o.clientSecretFile, "client-secret-file", "", "the `file` with its client secret")
	f.Int64SliceVar(&o.admins, "admin", nil, "GitHub's `id` of a person who administers this server, besides who set it up")
	f.StringVar(&o.node, "node", "", "the `name` of this server among those on a Postgres; the machine's where absent")
	f.StringVar(&o.folders, "allow-folder", "", "a `folder` of this machine: sites with a dir are published below it, as OWNER/DIR; refused where absent")
	f.BoolVar(&o.private, "allow-private", false, "releases may publish to addresses in private networks, and without TLS")
	f.BoolVar(&o.noSandbox, "no-sandbox", false, "make packages without a sandbox: every project can read what the server can")
	f.IntVar(&o.workers, "workers", 4, "releases made at once")
	f.Int64Var(&o.jobsPerHour, "jobs-per-hour", 0, "the most releases of an installation in an hour; 0 is no bound")
	f.Int64Var(&o.minutesPerDay, "minutes-per-day", 0, "the most minutes of packaging of an installation in a day; 0 is no bound")
	f.Int64Var(&o.maxDaily, "bytes-per-day", 0, "the most bytes that an installation may publish in a day; 0 is no bound")
	f.BoolVar(&o.insecure, "insecure", false, "speak http, on this machine only")
	f.BoolVar(&o.check, "check", false, "open everything, say that it works, and end")
	c.AddCommand(a.appReplay(), a.appKeys(), a.appBackup())
	return c
}

// fromEnvironment sets the flags of c that were not given and have a variable.
func (a *app) fromEnvironment(c *cobra.Command) error {
	var err error
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		name := "DISTROPACK_APP_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		v := a.env(name) // empty is absent
		if f.Changed || v == "" || err != nil || f.Name == "help" {
			return
		}
		if e := f.Value.Set(v); e != nil {
			err = usagef("%s: %v", name, e)
		}
	})
	return err
}

func (a *app) runApp(c *cobra.Command, o *appFlags) (err error) {
	ctx := c.Context()
	given, err := a.serverOptions(c, o)
	if err != nil {
		return err
	}
	s, err := server.New(ctx, given)
	if err != nil {
		return asUsage(err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.Sandbox() == sandbox.None {
		given.Log.Warn("there is no sandbox: every project that is released can read what this server can, its secrets too")
	}
	if u, e := user.Current(); e == nil && u.Uid == "0" {
		given.Log.Warn("the server runs as root: give it a user of its own")
	}
	if o.check {
		return a.show(map[string]any{"ok": true, "url": given.URL, "sandbox": s.Sandbox()}, func(w io.Writer) {
			fmt.Fprintf(w, "all can be opened; packages are made in the sandbox %q\n", s.Sandbox())
		})
	}
	link, err := s.SetupLink(ctx)
	if err != nil {
		return err
	}
	err = a.show(map[string]any{"url": given.URL, "setup": link}, func(w io.Writer) {
		fmt.Fprintf(w, "DistroPack is at %s\n", given.URL)
		if link != "" {
			fmt.Fprintf(w, "Set it up with this link, which is good for you alone, for a day and until it was used:\n%s\n", link)
		}
	})
	if err != nil {
		return err
	}
	return asUsage(s.Run(ctx))
}

// asUsage marks mistakes that other options cure.
func asUsage(err error) error {
	var m *server.Mistake
	if errors.As(err, &m) {
		return &usageError{err}
	}
	return err
}

// serverOptions reads and checks all flags and variables.
func (a *app) serverOptions(c *cobra.Command, o *appFlags) (given server.Options, err error) {
	byFlag := c.Flags().Changed("database")
	if err := a.fromEnvironment(c); err != nil {
		return given, err
	}
	log, err := a.appLogger(&o.appData)
	if err != nil {
		return given, err
	}
	given = server.Options{
		Dir: o.dir, API: o.githubAPI, Web: o.githubWeb, Admins: o.admins, Node: o.node, Version: version(), Folders: o.folders, Workers: o.workers,
		Quota: server.Quota{Jobs: o.jobsPerHour, Minutes: o.minutesPerDay, Bytes: o.maxDaily}, Private: o.private, Log: log,
	}
	if given.Exe, err = os.Executable(); err != nil {
		return given, err
	}
	if given.Database, err = a.databaseOf(&o.appData, byFlag); err != nil {
		return given, err
	}
	if o.noSandbox {
		given.Sandbox = sandbox.None
	}
	if o.workers < 1 || o.workers > 64 {
		return given, usagef("--workers %d: want 1 to 64", o.workers)
	}
	for name, n := range map[string]int64{"jobs-per-hour": o.jobsPerHour, "minutes-per-day": o.minutesPerDay, "bytes-per-day": o.maxDaily, "app-id": o.appID} {
		if n < 0 {
			return given, usagef("--%s %d: want 0 or more", name, n)
		}
	}
	if given.Given, err = a.appCredentials(o); err != nil {
		return given, err
	}
	if err := githubAddresses(&given, o.insecure); err != nil {
		return given, err
	}
	if given.Node == "" && strings.HasPrefix(given.Database, "postgres") {
		if given.Node, err = os.Hostname(); err != nil {
			return given, usagef("--node: %w", err)
		}
	}
	if err := publicAddress(o); err != nil {
		return given, err
	}
	if given.Listener, err = listen("--listen", o.listen, o.insecure); err != nil {
		return given, err
	}
	if o.metrics != "" {
		if given.Metrics, err = listen("--metrics", o.metrics, false); err != nil {
			return given, errors.Join(err, given.Listener.Close())
		}
	}
	if given.URL = strings.TrimSuffix(o.url, "/"); given.URL == "" {
		given.URL = "http://" + given.Listener.Addr().String()
	}
	return given, nil
}

// publicAddress checks --url and --insecure.
func publicAddress(o *appFlags) error {
	if o.url == "" {
		if !o.insecure {
			return usagef("--url is missing: the public address, such as https://packages.example.org; to try it on this machine use --insecure")
		}
		return nil
	}
	u, err := url.Parse(o.url)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" || u.Scheme != "https" && u.Scheme != "http":
		return usagef("--url %q: want https://HOST without a path", o.url)
	case u.Scheme == "http" && !o.insecure:
		return usagef("--url %q: people sign in there, so it has to be https; a proxy before the server can do that, and --insecure is for this machine only", o.url)
	case u.Scheme == "http" && !local(u.Hostname()):
		return usagef("--url %q: --insecure is for this machine only, such as http://localhost:8080", o.url)
	}
	return nil
}

// local says whether a host is this machine, whoever asks.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func listen(flag, addr string, localOnly bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, usagef("%s %q: want HOST:PORT, such as 127.0.0.1:8080", flag, addr)
	}
	if localOnly && !local(host) {
		return nil, usagef("%s %q: with --insecure the server listens on this machine only, such as at 127.0.0.1:8080", flag, addr)
	}
	return net.Listen("tcp", addr)
}

// githubAddresses fills in the one that follows from the other.
func githubAddresses(o *server.Options, insecure bool) error {
	for _, x := range []struct {
		flag string
		addr *string
	}{{"--github-api", &o.API}, {"--github-web", &o.Web}} {
		if *x.addr == "" {
			continue
		}
		*x.addr = strings.TrimRight(*x.addr, "/")
		u, err := url.Parse(*x.addr)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && !(u.Scheme == "http" && insecure && local(u.Hostname())) {
			return usagef("%s %q: want https://HOST", x.flag, *x.addr)
		}
	}
	const api = "/api/v3"
	switch {
	case o.API == "" && o.Web != "" && o.Web != "https://github.com":
		o.API = o.Web + api
	case o.Web == "" && o.API != "" && o.API != "https://api.github.com":
		web, ok := strings.CutSuffix(o.API, api)
		if !ok {
			return usagef("--github-api %q: say with --github-web where its pages are", o.API)
		}
		o.Web = web
	}
	return nil
}

// appLogger logs to standard error. --quiet and --verbose win over the level.
func (a *app) appLogger(o *appData) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return nil, usagef("--log-level %q: want debug, info, warn or error", o.logLevel)
	}
	if a.verbose {
		level = slog.LevelDebug
	}
	if a.quiet {
		level = slog.LevelError
	}
	if o.logFormat != "text" && o.logFormat != "json" {
		return nil, usagef("--log %q: want text or json", o.logFormat)
	}
	return server.NewLogger(a.err, o.logFormat == "json", level), nil
}

// databaseOf is the address with the password, which may not stand in a flag: everybody
// on the machine sees those.
func (a *app) databaseOf(o *appData, byFlag bool) (string, error) {
	password, err := a.secretOf("DATABASE_PASSWORD", "--database-password-file", o.passwordFile)
	if err != nil {
		return "", err
	}
	if o.database == "" || strings.HasPrefix(o.database, "sqlite:") {
		if password != "" {
			return "", usagef("a password of the database is given, and SQLite has none: name a postgres:// with --database")
		}
		return o.database, nil
	}
	u, err := url.Parse(o.database)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", usagef("--database: want sqlite:/PATH/app.db or postgres://USER@HOST/NAME") // the address may hold a password
	}
	_, has := u.User.Password()
	if has = has || u.Query().Has("password"); has && byFlag {
		return "", usagef("--database holds a password, which everybody on this machine sees: give it by DISTROPACK_APP_DATABASE_PASSWORD or --database-password-file")
	}
	if password == "" {
		return o.database, nil
	}
	if has {
		return "", usagef("the database's password is given twice, in its address and by itself")
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), nil
}

// appCredentials are the GitHub App's, where it is not made by the link.
func (a *app) appCredentials(o *appFlags) (c server.Credentials, err error) {
	c.ID, c.ClientID = o.appID, o.clientID
	for _, x := range []struct {
		to                   *string
		variable, flag, file string
	}{
		{&c.Key, "KEY", "--app-key-file", o.keyFile},
		{&c.WebhookSecret, "WEBHOOK_SECRET", "--webhook-secret-file", o.secretFile},
		{&c.ClientSecret, "CLIENT_SECRET", "--client-secret-file", o.clientSecretFile},
	} {
		if *x.to, err = a.secretOf(x.variable, x.flag, x.file); err != nil {
			return c, err
		}
	}
	return c, nil
}

// secretOf reads a secret from a variable or a file; "" if there is neither.
func (a *app) secretOf(variable, flag, file string) (string, error) {
	variable = "DISTROPACK_APP_" + variable
	v := a.env(variable)
	if file == "" {
		return strings.TrimSpace(v), nil
	}
	if v != "" {
		return "", usagef("%s and %s are both given: choose one", variable, flag)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", usagef("%s: %w", flag, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return "", usagef("%s: %w", flag, err)
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		return "", usagef("%s %s: the file is empty", flag, file)
	}
	return text, nil
}

// dataOf is where a command finds the server's data.
func (a *app) dataOf(c *cobra.Command, o *appData) (database string, log *slog.Logger, err error) {
	byFlag := c.Flags().Changed("database")
	if err := a.fromEnvironment(c); err != nil {
		return "", nil, err
	}
	if database, err = a.databaseOf(o, byFlag); err != nil {
		return "", nil, err
	}
	log, err = a.appLogger(o)
	return database, log, err
}
