//go:build linux && !amd64 && !arm64

package sandbox

// filterCalls does nothing on machines whose numbers of calls are not known here:
// the namespaces hold without it.
func filterCalls() error { return nil }
