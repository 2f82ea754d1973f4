package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/distropack/distropack/formats"
	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline/plan"
)

// selection adds the flags that say what is released.
func (o *releaseFlags) selection(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.tag, "tag", "", "the `tag` that is released; the one at the commit where absent")
	f.StringVar(&o.version, "version", "", "the `version`, whatever the tag says")
	f.StringVar(&o.channel, "channel", "", "the `channel`, whatever the tag says")
	f.StringVar(&o.site, "site", "", "only this `site` of publish")
	f.StringSliceVar(&o.packages, "package", nil, "only these packages, by `name`")
	f.StringSliceVar(&o.formats, "format", nil, "only these `formats`")
	f.StringSliceVar(&o.platforms, "platform", nil, "only these `platforms`")
	f.StringVar(&o.assets, "assets", "", "the `folder` with the release's assets, for sources of that kind")
	f.StringVar(&o.key, "key", "", "the signing key's `file`; signing.key or DISTROPACK_KEY where absent")
	f.BoolVar(&o.unsigned, "unsigned", false, "sign nothing")
	c.RegisterFlagCompletionFunc("format", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, k := range formatsall.Kinds() {
			names = append(names, k.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	c.RegisterFlagCompletionFunc("platform", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, p := range formats.LinuxPlatforms() {
			names = append(names, p.String())
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

// building adds the flags that say how packages are made.
func (o *releaseFlags) building(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&o.out, "output", "o", "dist", "the `folder` for packages")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "packages made at once; the number of CPUs where absent")
	f.BoolVar(&o.failFast, "fail-fast", false, "stop at the first failure")
	f.BoolVar(&o.resume, "resume", true, "take over what an earlier run of the same inputs made and published")
}

// publishing adds the flags that say what may be published.
func (o *releaseFlags) publishing(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&o.allowOlder, "allow-older", false, "publish a version that is older than the newest one")
	f.BoolVar(&o.replace, "replace", false, "publish other content for a version that is published")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "make everything, publish nothing, list what would be written")
}

func (o *releaseFlags) filter() (plan.Filter, error) {
	f := plan.Filter{Packages: o.packages, Formats: o.formats}
	for _, name := range o.formats {
		var known []string
		for _, k := range formatsall.Kinds() {
			known = append(known, k.Name)
		}
		if !slices.Contains(known, name) {
			return f, usagef("--format %s: there is no such format; there are: %s", name, join(known))
		}
	}
	for _, s := range o.platforms {
		p, err := formats.ParsePlatform(s)
		if err != nil {
			return f, &usageError{err}
		}
		f.Platforms = append(f.Platforms, p)
	}
	return f, nil
}
