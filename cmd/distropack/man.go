package main

import "time"

// manDate stands on the manual pages: that of their text, not of the build.
var manDate = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
