package main

import "flag"

// soak makes the long tests take every point, publisher and update: make soak. CI
// takes a part of them, which is another part of the code each time it changes.
var soak = flag.Bool("soak", false, "all crash points, 50 publishers, 1,000 updates behind a CDN: make soak")

// unlessSoak is n, or all where -soak is given.
func unlessSoak(n, all int) int {
	if *soak {
		return all
	}
	return n
}
