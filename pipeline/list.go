package pipeline

import (
	"encoding/json"
	"sync"
)

// listItem is an entry of artifacts.json: GoReleaser's words, so that what reads
// its file reads ours.
type listItem struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	Goos    string `json:"goos,omitempty"`
	Goarch  string `json:"goarch,omitempty"`
	Goarm   string `json:"goarm,omitempty"`
	Type    string `json:"type"`
	Format  string `json:"format,omitempty"`
	Version string `json:"version,omitempty"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
}

var listTypes = map[string]string{"package": "Linux Package", "signature": "Signature", "checksums": "Checksum"}

func (i listItem) render() ([]byte, error) {
	if i.Format == "zip" || len(i.Format) > 4 && i.Format[:4] == "tar." {
		i.Type = "Archive"
	}
	return json.Marshal(i)
}

// counter numbers what begins.
type counter struct {
	mu   sync.Mutex
	n, m int
}

func (c *counter) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}
