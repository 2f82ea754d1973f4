package check

import (
	"strings"
	"time"

	"github.com/distropack/distropack/app/github"
)

// NoConfig is the check run of a tag whose commit has no distropack.yml: neutral,
// and it says how to begin. owner and name are the repository's.
func NoConfig(owner, name, commit, externalID, url string, now time.Time) github.Check {
	return github.Check{
		Name: ReleaseName, HeadSHA: commit, ExternalID: externalID, DetailsURL: url, Status: "completed", Conclusion: "neutral", Completed: now, Actions: []github.Action{},
		Title: "There is no distropack.yml at this commit", Summary: howToBegin(owner, name),
	}
}

func howToBegin(owner, name string) string {
	return "Nothing is published: DistroPack reads what to do from the file `distropack.yml` at the commit of the tag, and there is none.\n\n" +
		"To begin, run `distropack init` in a clone of the repository: it writes one that fits the project. Or add this, and adapt it:\n\n" +
		fence(FirstConfig(owner, name), 4<<10, false) +
		"\nCommit it and push a new tag. A pull request that adds the file gets a check that says what a release would do.\n"
}

// FirstConfig is a whole distropack.yml for a repository on GitHub: packages of a
// program that the release has for each CPU, in repositories on GitHub Pages.
func FirstConfig(owner, name string) string {
	project := strings.Trim(strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '.', c == '+':
			return c
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '-'
	}, name), "-.+")
	if len(project) < 2 {
		project = "hello"
	}
	return strings.NewReplacer("PROJECT", project, "OWNER", strings.ToLower(owner), "NAME", name).Replace(`version: 1
project: PROJECT
description: What it does, in one line
maintainer: Your Name <you@example.org>
license: MIT
platforms: [linux/amd64, linux/arm64]
sources:
  bin: {assets: "PROJECT_{version}_{os}_{arch}.tar.gz"}
packages:
  - name: PROJECT
    formats: [deb, rpm, arch, apk]
    contents:
      - {src: "bin:PROJECT", dst: /usr/bin/PROJECT, mode: 0755}
publish:
  - site: public
    url: https://OWNER.github.io/NAME
    git: {url: "https://github.com/OWNER/NAME"}
github: {}
`)
}
