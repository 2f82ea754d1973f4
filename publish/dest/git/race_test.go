//go:build race

package git

const raceEnabled = true
