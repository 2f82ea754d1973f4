package pipeline

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/distropack/distropack/formats"
)

// journal remembers the legs of a release that are done: each package and each
// site. (The GitHub release is asked what it has each time.) A leg is known by the digest of all that goes into it, so
// that one whose inputs changed is taken again. It lies beside the packages and
// may be lost: every leg is right to repeat, only slower.
type journal struct {
	file string // "" remembers nothing

	mu   sync.Mutex
	Legs map[string]leg `json:"legs"`
}

// leg is one that is done.
type leg struct {
	Inputs  formats.Digest `json:"inputs"`
	Outcome string         `json:"outcome"` // the SHA-256 of a package, the version of a tree
}

// journalFile is the journal's name in the folder of packages.
const journalFile = "journal.json"

// openJournal reads the journal of a folder. What can't be read is forgotten.
func openJournal(dir string, resume bool) *journal {
	j := &journal{file: filepath.Join(dir, journalFile)}
	if b, err := os.ReadFile(j.file); err == nil && resume {
		if json.Unmarshal(b, j) != nil {
			j.Legs = nil
		}
	}
	if j.Legs == nil {
		j.Legs = make(map[string]leg)
	}
	return j
}

// done returns the outcome of a leg that was taken with these inputs.
func (j *journal) done(name string, inputs formats.Digest) (outcome string, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l, ok := j.Legs[name]
	return l.Outcome, ok && l.Inputs == inputs
}

// outcome is that of a leg, whatever went into it; "" where none was taken.
func (j *journal) outcome(name string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Legs[name].Outcome
}

// note remembers a leg, on the disk.
func (j *journal) note(name string, inputs formats.Digest, outcome string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.Legs[name] == (leg{inputs, outcome}) {
		return nil
	}
	j.Legs[name] = leg{inputs, outcome}
	b, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	part := j.file + ".part"
	if err := os.WriteFile(part, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(part, j.file)
}

// inputs is the digest of values, as JSON.
func inputs(values ...any) (formats.Digest, error) {
	h := sha256.New()
	e := json.NewEncoder(h)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			return formats.Digest{}, err
		}
	}
	return formats.Digest(h.Sum(nil)), nil
}

// madeAlready returns the package that an earlier run made of the same inputs; nil
// if there is none, or it is no longer what it was.
func (j *journal) madeAlready(name, file string, in formats.Digest) (formats.Blob, error) {
	outcome, ok := j.done("package "+name, in)
	if !ok {
		return nil, nil
	}
	b, err := formats.FileBlob(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || b.Ref().SHA256.String() != outcome {
		return nil, err
	}
	return b, nil
}
