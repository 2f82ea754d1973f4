package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/keys"
)

func (a *app) cmdKeys() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "Make, import, export and show signing keys",
		Long: `One key signs everything: an OpenPGP key (apt, dnf, zypper, pacman, rpm), an RSA
key (apk) and an Ed25519 key (opkg) in one text file. Keep it safe: who has it can
publish in your name. CI gets it as DISTROPACK_KEY.`,
	}
	c.AddCommand(a.keysNew(), a.keysImport(), a.keysExport(), a.keysShow())
	return c
}

// keyInfo is what is said of a key; nothing of it is secret.
type keyInfo struct {
	User        string   `json:"user"`
	Fingerprint string   `json:"fingerprint"`
	Signs       string   `json:"signs"`
	Expires     string   `json:"expires,omitempty"`
	Warnings    []string `json:"warnings,omitempty"`
}

func (a *app) info(k *keys.Key) keyInfo {
	i := keyInfo{User: k.User(), Fingerprint: k.Fingerprint(), Signs: k.Schemes(), Warnings: k.Warnings(a.now)}
	if e := k.Expires(); !e.IsZero() {
		i.Expires = e.Format(time.DateOnly)
	}
	return i
}

func (i keyInfo) print(w io.Writer) {
	rows := [][]string{{"user", i.User}, {"fingerprint", grouped(i.Fingerprint)}, {"signs", i.Signs}}
	if i.Expires != "" {
		rows = append(rows, []string{"expires", i.Expires})
	}
	table(w, rows)
	for _, x := range i.Warnings {
		fmt.Fprintln(w, "warning: "+x)
	}
}

func grouped(fingerprint string) string {
	var parts []string
	for len(fingerprint) > 4 {
		parts, fingerprint = append(parts, fingerprint[:4]), fingerprint[4:]
	}
	return strings.Join(append(parts, fingerprint), " ")
}

func (a *app) keysNew() *cobra.Command {
	var name, email, out, expires string
	var ed25519, print, line bool
	c := &cobra.Command{
		Use:   "new",
		Short: "Make a signing key",
		Long: `New makes an RSA-4096 key, which every client can check, and writes it to a file
that only you can read. Your own keyring is not touched.`,
		Example: `  distropack keys new --name "Hello releases" --email releases@example.org
  distropack keys new -o - --line | gh secret set DISTROPACK_KEY`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			git := func(key string) string {
				b, _ := exec.CommandContext(c.Context(), "git", "config", key).Output()
				return strings.TrimSpace(string(b))
			}
			if name == "" {
				name = git("user.name")
			}
			if email == "" {
				email = git("user.email")
			}
			if name == "" {
				return usagef("the key needs a name: --name \"Hello releases\"")
			}
			o := keys.NewOptions{Ed25519: ed25519}
			if expires != "" {
				d, err := parseLife(expires)
				if err != nil {
					return err
				}
				o.Expires = d
			}
			k, err := keys.New(name, email, a.now.Add(-time.Minute), nil, o)
			if err != nil {
				return err
			}
			text := k.Bundle().Reveal()
			if line {
				text = k.Line().Reveal() + "\n"
			}
			if print || out == "-" {
				_, err := io.WriteString(a.out, text)
				return err
			}
			if err := writeSecret(out, text); err != nil {
				return err
			}
			i := a.info(k)
			return a.show(struct {
				keyInfo
				File string `json:"file"`
			}{i, out}, func(w io.Writer) {
				i.print(w)
				fmt.Fprintf(w, "\nwrote %s: back it up, keep it out of the repository, and give it to releases as DISTROPACK_KEY\n", out)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&name, "name", "", "whose key it is; git's user.name where absent")
	f.StringVar(&email, "email", "", "the address; git's user.email where absent")
	f.StringVarP(&out, "output", "o", "distropack.key", "the `file`; - prints it")
	f.StringVar(&expires, "expires", "", "how long it is valid, such as 2y or 90d; without end where absent")
	f.BoolVar(&ed25519, "ed25519", false, "an Ed25519 OpenPGP key: small, but EL 9 and older can't check it")
	f.BoolVar(&line, "line", false, "as one line of base64, for secrets of CI systems")
	return c
}

// parseLife reads 90d, 2y and Go's durations.
func parseLife(s string) (time.Duration, error) {
	var n int
	var unit string
	if _, err := fmt.Sscanf(s, "%d%s", &n, &unit); err == nil && n > 0 {
		switch unit {
		case "d":
			return time.Duration(n) * 24 * time.Hour, nil
		case "y":
			return time.Duration(n) * 365 * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, usagef("--expires %q: write 90d or 2y", s)
	}
	return d, nil
}

// writeSecret writes a file that is not there yet and only its owner can read.
func writeSecret(name, text string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usagef("%s is there already: a key is never replaced; use another --output", name)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

// readKey reads the key that a command works on: a file, - for standard input, or
// DISTROPACK_KEY.
func (a *app) readKey(args []string) (*keys.Key, error) {
	var text keys.Secret
	switch {
	case len(args) == 0:
		v := a.env("DISTROPACK_KEY") // empty is absent: a CI system's secret that is not set
		if v == "" {
			return nil, usagef("name the key's file, - for standard input, or set DISTROPACK_KEY")
		}
		text = keys.NewSecret(v)
	case args[0] == "-":
		b, err := io.ReadAll(io.LimitReader(a.in, 1<<20))
		if err != nil {
			return nil, err
		}
		text = keys.NewSecret(string(b))
	default:
		b, err := os.ReadFile(args[0])
		if err != nil {
			return nil, &usageError{err}
		}
		text = keys.NewSecret(string(b))
	}
	k, err := keys.Import(text, keys.ImportOptions{Now: a.now, Passphrase: keys.NewSecret(a.env("DISTROPACK_PASSPHRASE"))})
	if err != nil {
		return nil, &usageError{err}
	}
	return k, nil
}

func (a *app) keysImport() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "import [FILE]",
		Short: "Take a key you have, after it has signed a test",
		Long: `Import reads an armored OpenPGP private key, a PEM key, a usign key, or base64 of
one of them, and writes it in the form releases read, completed for the formats
that need other kinds of keys. A passphrase is taken from DISTROPACK_PASSPHRASE.`,
		Example: `  gpg --export-secret-keys --armor releases@example.org | distropack keys import -`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := a.readKey(args)
			if err != nil {
				return err
			}
			if err := writeSecret(out, k.Bundle().Reveal()); err != nil {
				return err
			}
			i := a.info(k)
			return a.show(i, func(w io.Writer) {
				i.print(w)
				fmt.Fprintf(w, "\nwrote %s\n", out)
			})
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "distropack.key", "the `file`")
	return c
}

func (a *app) keysExport() *cobra.Command {
	var line, public bool
	var scheme string
	c := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Print a key, for a backup or a CI system",
		Example: `  distropack keys export --line distropack.key      one line, for a CI secret
  distropack keys export --public distropack.key    the OpenPGP certificate`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := a.readKey(args)
			if err != nil {
				return err
			}
			text := k.Bundle().Reveal()
			switch {
			case public:
				schemes := map[string]formats.Scheme{"openpgp": formats.OpenPGP, "apk": formats.RSA256, "opkg": formats.Usign}
				s, ok := schemes[scheme]
				if !ok {
					return usagef("--for %q: openpgp, apk and opkg are known", scheme)
				}
				p, err := keys.Of("key", map[string]*keys.Key{"main": k}, a.now).Public("main", s)
				if err != nil {
					return err
				}
				text = string(p.Data)
			case line:
				text = k.Line().Reveal() + "\n"
			}
			_, err = io.WriteString(a.out, text)
			return err
		},
	}
	c.Flags().BoolVar(&line, "line", false, "as one line of base64")
	c.Flags().BoolVar(&public, "public", false, "the public half")
	c.Flags().StringVar(&scheme, "for", "openpgp", "with --public: openpgp, apk or opkg")
	return c
}

func (a *app) keysShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show [FILE]",
		Short:   "Say what a key is, and test it; nothing secret is printed",
		Example: `  distropack keys show distropack.key`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := a.readKey(args)
			if err != nil {
				return err
			}
			i := a.info(k)
			return a.show(i, i.print)
		},
	}
}
