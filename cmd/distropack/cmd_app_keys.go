package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	server "github.com/distropack/distropack/app"
)

func (a *app) appKeys() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "Back up, bring in and re-seal the keys that the App signs with",
	}
	c.AddCommand(a.appKeysExport(), a.appKeysImport(), a.appKeysRotate())
	return c
}

// whose adds the flags that name a key of the App.
func whose(c *cobra.Command, scope, name *string) {
	c.Flags().StringVar(scope, "for", "", "whose key: `OWNER/NAME`, ACCOUNT, installation:ID or repository:ID")
	c.Flags().StringVar(name, "name", "main", "the key's `name`")
	c.MarkFlagRequired("for")
}

// vault opens the keys for f.
func (a *app) vault(c *cobra.Command, o *appData, f func(v *server.Vault) error) error {
	database, log, err := a.dataOf(c, o)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	v, err := server.OpenVault(c.Context(), o.dir, database, exe, log)
	if err != nil {
		return asUsage(err)
	}
	return errors.Join(asUsage(f(v)), v.Close())
}

func (a *app) appKeysExport() *cobra.Command {
	var o appData
	var scope, name, out string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write a key into a file that a passphrase locks",
		Long: `Export writes a signing key as an age file, locked with the passphrase in
DISTROPACK_PASSPHRASE (12 characters at least). import reads it again, and so does
age -d, which gives the key as distropack release takes it. A server may be running.`,
		Example: `  distropack app keys export --for acme/hello -o hello.key.age`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			pass := a.env("DISTROPACK_PASSPHRASE")
			if len(pass) < 12 {
				return usagef("set DISTROPACK_PASSPHRASE to a passphrase of 12 characters or more: whoever has it and the file has the key")
			}
			return a.vault(c, &o, func(v *server.Vault) error {
				whose, err := v.Scope(c.Context(), scope)
				if err != nil {
					return err
				}
				b, err := v.Export(c.Context(), whose, name, pass)
				if err != nil {
					return err
				}
				if out == "-" {
					_, err := a.out.Write(b)
					return err
				}
				if err := writeSecret(out, string(b)); err != nil {
					return err
				}
				fmt.Fprintf(a.out, "wrote %s: the key %s of %s\n", out, name, whose)
				return nil
			})
		},
	}
	o.flags(c.Flags())
	whose(c, &scope, &name)
	c.Flags().StringVarP(&out, "output", "o", "app.key.age", "the `file`; - prints it")
	return c
}

func (a *app) appKeysImport() *cobra.Command {
	var o appData
	var scope, name string
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Take a key, or a backup of one, after it has signed a test",
		Long: `Import reads what keys import reads, or a file of export; - is standard input. The
passphrase of either is taken from DISTROPACK_PASSPHRASE. A key that is there is never
replaced. A server may be running.`,
		Example: `  distropack app keys import hello.key.age --for acme/hello`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			in := a.in
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return &usageError{err}
				}
				defer f.Close()
				in = f
			}
			text, err := io.ReadAll(io.LimitReader(in, 1<<20))
			if err != nil {
				return err
			}
			return a.vault(c, &o, func(v *server.Vault) error {
				whose, err := v.Scope(c.Context(), scope)
				if err != nil {
					return err
				}
				k, err := v.Import(c.Context(), whose, name, text, a.env("DISTROPACK_PASSPHRASE"))
				if err != nil {
					return err
				}
				i := keyInfo{User: k.User, Fingerprint: k.Fingerprint, Warnings: k.Warnings}
				for _, p := range k.Parts {
					i.Signs += map[bool]string{true: ", "}[i.Signs != ""] + p.Use
				}
				if !k.Expires.IsZero() {
					i.Expires = k.Expires.Format("2006-01-02")
				}
				return a.show(i, func(w io.Writer) {
					i.print(w)
					fmt.Fprintf(w, "\nit is the key %s of %s now\n", name, whose)
				})
			})
		},
	}
	o.flags(c.Flags())
	whose(c, &scope, &name)
	return c
}

func (a *app) appKeysRotate() *cobra.Command {
	var o appData
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Seal all keys and secrets anew, under new identities",
		Long: `Rotate makes new identity files and seals every key and secret of the database
again: whoever has a copy of the old ones can open nothing that is sealed from now on.
The signing keys stay the same, so nobody notices. Stop the server first; on Postgres
stop all of them, and copy both identity files to each afterwards. Old backups need
the old identities, so keep them together.`,
		Example: `  distropack app keys rotate --dir /var/lib/distropack`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			database, log, err := a.dataOf(c, &o)
			if err != nil {
				return err
			}
			exe, err := os.Executable()
			if err != nil {
				return err
			}
			done, err := server.Rotate(c.Context(), o.dir, database, exe, log)
			if err != nil {
				return asUsage(err)
			}
			return a.show(done, func(w io.Writer) {
				fmt.Fprintf(w, "sealed anew: %d keys, %d secrets; make a backup now\n", done.Keys, done.Secrets)
			})
		},
	}
	o.flags(c.Flags())
	return c
}
