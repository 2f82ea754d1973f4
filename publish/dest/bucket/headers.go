package bucket

import (
	"path"
	"regexp"
	"strings"

	"github.com/distropack/distropack/publish"
)

// mediaTypes by the end of a file's name; the first that fits counts.
var mediaTypes = []struct{ end, media string }{
	{".deb", "application/vnd.debian.binary-package"},
	{".ipk", "application/vnd.debian.binary-package"},
	{".rpm", "application/x-rpm"},
	{".apk", "application/octet-stream"}, // Android's type would be wrong
	{".pkg.tar.zst", "application/zstd"},
	{".html", "text/html; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".json", "application/json"},
	{".jsonl", "application/x-ndjson"},
	{".svg", "image/svg+xml"},
	{".xml", "application/xml"},
	{".asc", "text/plain; charset=utf-8"}, // signatures and keys, which people read in a browser
	{".gpg", "application/octet-stream"},
	{".sig", "application/octet-stream"},
	{".pub", "text/plain; charset=utf-8"},
	{".sh", "text/x-shellscript; charset=utf-8"},
	{".rb", "text/plain; charset=utf-8"},
	{".txt", "text/plain; charset=utf-8"},
	{".repo", "text/plain; charset=utf-8"},
	{".list", "text/plain; charset=utf-8"},
	{".sources", "text/plain; charset=utf-8"},
	{".conf", "text/plain; charset=utf-8"},
	{".gz", "application/gzip"},
	{".tgz", "application/gzip"},
	{".zst", "application/zstd"},
	{".xz", "application/x-xz"},
	{".zip", "application/zip"},
	{".dmg", "application/x-apple-diskimage"},
	{".db", "application/octet-stream"},
	{".files", "application/octet-stream"},
}

var plainNames = map[string]bool{"InRelease": true, "Release": true, "Packages": true, "SHA256SUMS": true, "CNAME": true}

// mediaType is the Content-Type of a file. Files are served as they lie there:
// none has a Content-Encoding, since a client that asked for Packages.gz must get
// its bytes.
func mediaType(p string) string {
	name := path.Base(p)
	if plainNames[name] || strings.HasPrefix(name, "SHA256SUMS-") && !strings.Contains(name, ".") {
		return "text/plain; charset=utf-8"
	}
	if name == "Release.gpg" {
		return "text/plain; charset=utf-8" // armored
	}
	if p == publish.StatePath {
		return "text/plain; charset=utf-8"
	}
	for _, m := range mediaTypes {
		if strings.HasSuffix(name, m.end) {
			return m.media
		}
	}
	return "application/octet-stream"
}

const (
	forever = "public, max-age=31536000, immutable"
	asked   = "no-cache" // kept by caches, which ask each time whether it is still the same
)

var digestName = regexp.MustCompile(`(^|[^0-9a-f])[0-9a-f]{64}([^0-9a-f]|$)`)

// fixed reports whether a path stays while the content changes. Content never
// does; an index does unless its name has its digest in it.
func fixed(p string, c publish.Class) bool {
	return c == publish.Pointer || c == publish.Index && !digestName.MatchString(path.Base(p))
}

func cacheControl(p string, c publish.Class) string {
	if fixed(p, c) {
		return asked
	}
	return forever
}
