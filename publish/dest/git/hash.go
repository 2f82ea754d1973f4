package git

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"hash"
)

// id names an object: the SHA-1 of its kind, size and content.
type id [sha1.Size]byte

func (i id) String() string { return hex.EncodeToString(i[:]) }

func (i id) isZero() bool { return i == id{} }

// parseID reads 40 hexadecimal digits.
func parseID(s string) (id, error) {
	var i id
	if len(s) == 64 {
		return i, errSHA256
	}
	if len(s) != 2*len(i) {
		return i, fmt.Errorf("object id %q is not 40 hexadecimal digits", printable(s, 80))
	}
	if _, err := hex.Decode(i[:], []byte(s)); err != nil {
		return i, fmt.Errorf("object id %q is not 40 hexadecimal digits", printable(s, 80))
	}
	return i, nil
}

// kind is an object's kind, as packs number them.
type kind byte

const (
	commitKind kind = 1
	treeKind   kind = 2
	blobKind   kind = 3
	tagKind    kind = 4
	ofsDelta   kind = 6
	refDelta   kind = 7
)

func (k kind) String() string {
	return map[kind]string{commitKind: "commit", treeKind: "tree", blobKind: "blob", tagKind: "tag"}[k]
}

// newHash returns the hash of an object, ready for its content.
func newHash(k kind, size int64) hash.Hash {
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00", k, size)
	return h
}

func hashOf(k kind, b []byte) id {
	h := newHash(k, int64(len(b)))
	h.Write(b)
	return id(h.Sum(nil))
}
