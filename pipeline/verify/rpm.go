package verify

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"

	"github.com/distropack/distropack/pipeline/keys"
)

// rpmCheck checks the signature in an rpm while it is hashed. Only the two headers
// at the start are kept. A signature of RPM 4 stands in the first, over the second,
// which holds the payload's digest
// (https://rpm-software-management.github.io/rpm/manual/format_v4.html).
type rpmCheck struct {
	run  *run
	item *item
	head []byte
	done bool
}

const (
	rpmLead    = 96
	rpmIntro   = 16
	maxRPMHead = 64 << 20
)

var rpmMagic = []byte{0x8e, 0xad, 0xe8, 1}

// Write implements io.Writer.
func (c *rpmCheck) Write(b []byte) (int, error) {
	if !c.done {
		c.head = append(c.head, b...)
		_, end, ok := c.split()
		c.done = !ok || end > 0 && len(c.head) >= end || len(c.head) > maxRPMHead
	}
	return len(b), nil
}

// split finds where the second header begins and ends; 0 while too little is
// there. ok is false if it is no rpm.
func (c *rpmCheck) split() (start, end int, ok bool) {
	size := func(at int) (int, bool) {
		if len(c.head) < at+rpmIntro {
			return 0, true
		}
		h := c.head[at:]
		n := rpmIntro + 16*int64(binary.BigEndian.Uint32(h[8:])) + int64(binary.BigEndian.Uint32(h[12:]))
		return int(min(n, maxRPMHead+1)), bytes.HasPrefix(h, rpmMagic) && n <= maxRPMHead
	}
	n, ok := size(rpmLead)
	if n == 0 || !ok {
		return 0, 0, ok
	}
	start = rpmLead + (n+7)/8*8
	n, ok = size(start)
	if n == 0 || !ok {
		return 0, 0, ok
	}
	return start, start + n, true
}

// signatureTags are where a signature over the main header may stand: by RSA, by
// DSA or EdDSA, and since RPM 6 any, in base64.
const (
	tagDSA     = 267
	tagRSA     = 268
	tagOpenPGP = 278
)

// signatures reads those of the first header.
func (c *rpmCheck) signatures() [][]byte {
	h := c.head[rpmLead:]
	count, size := int(binary.BigEndian.Uint32(h[8:])), int(binary.BigEndian.Uint32(h[12:]))
	data := h[rpmIntro+16*count:][:size]
	var all [][]byte
	for i := range count {
		e := h[rpmIntro+16*i:]
		tag, off, n := binary.BigEndian.Uint32(e), int64(binary.BigEndian.Uint32(e[8:])), int64(binary.BigEndian.Uint32(e[12:]))
		switch {
		case off > int64(size):
		case (tag == tagDSA || tag == tagRSA) && n <= int64(size)-off:
			all = append(all, data[off:off+n])
		case tag == tagOpenPGP:
			rest := data[off:]
			for range min(n, 16) {
				text, after, ok := bytes.Cut(rest, []byte{0})
				if !ok {
					break
				}
				if sig, err := base64.StdEncoding.DecodeString(string(text)); err == nil {
					all = append(all, sig)
				}
				rest = after
			}
		}
	}
	return all
}

func (c *rpmCheck) verdict() (s Severity, name, code, text string) {
	name = c.item.path
	start, end, ok := c.split()
	if !ok || end == 0 || len(c.head) < end {
		return Error, name, "index", "it is as its index says, but no rpm package"
	}
	sigs := c.signatures()
	for _, t := range c.item.about() {
		if t.Client == "dnf" {
			t.packages.note(len(sigs) > 0, name)
		}
	}
	if len(sigs) == 0 || c.run.trust.ring.Empty() {
		return "", "", "", ""
	}
	var check *keys.Check
	var by keys.Signed
	var err error
	for _, sig := range sigs {
		if check, err = c.run.trust.ring.Check(sig); err != nil {
			continue
		}
		check.Write(c.head[start:end])
		if by, err = check.Good(c.run.Now); err == nil {
			c.run.trust.use(by.Fingerprint)
			return "", "", "", ""
		}
	}
	return Error, name, "signature", err.Error()
}
