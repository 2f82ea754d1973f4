package config_test

import (
	"bytes"
	"strings"
)

// archive is a txtar file: a comment, then files that begin with "-- name --".
type archive struct {
	comment []byte
	files   []archived
}

type archived struct {
	name string
	data []byte
}

func parseArchive(data []byte) *archive {
	a := &archive{}
	for line := range bytes.Lines(data) {
		s := strings.TrimRight(string(line), "\n")
		if name, ok := strings.CutPrefix(s, "-- "); ok && strings.HasSuffix(name, " --") {
			a.files = append(a.files, archived{name: strings.TrimSuffix(name, " --")})
			continue
		}
		if len(a.files) == 0 {
			a.comment = append(a.comment, line...)
			continue
		}
		f := &a.files[len(a.files)-1]
		f.data = append(f.data, line...)
	}
	return a
}

func (a *archive) format() []byte {
	b := bytes.Clone(a.comment)
	for _, f := range a.files {
		b = append(b, "-- "+f.name+" --\n"...)
		b = append(b, f.data...)
	}
	return b
}
