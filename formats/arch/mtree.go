package arch

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/distropack/distropack/formats"
)

// mtree renders .MTREE, which "pacman -Qkk" compares the machine with: one line an
// entry, in mtree(5)'s form as bsdtar writes it, gzipped.
//
// pacman 6.0 takes a missing MD5 for a wrong one, so all content is read once for
// its sake; 6.1 and later look at SHA-256 alone.
func mtree(ctx context.Context, at int64, metadata []member, files []formats.File) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, 6)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("#mtree\n/set type=file uid=0 gid=0 mode=644\n")
	for _, m := range metadata {
		sums, err := digests(ctx, m.content)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "./%s time=%d.0 %s\n", escape(m.name), at, sums)
	}
	for i := range files {
		f := &files[i]
		fmt.Fprintf(&b, "./%s time=%d.0", escape(f.Path[1:]), at)
		if uid, _ := number(f.OwnerOr()); uid != 0 {
			fmt.Fprintf(&b, " uid=%d", uid)
		}
		if gid, _ := number(f.GroupOr()); gid != 0 {
			fmt.Fprintf(&b, " gid=%d", gid)
		}
		if m := mode(f); m != 0o644 {
			fmt.Fprintf(&b, " mode=%o", m)
		}
		switch f.Type {
		case formats.Dir:
			b.WriteString(" type=dir\n")
		case formats.Symlink:
			b.WriteString(" type=link link=" + escape(f.Target) + "\n")
		default:
			sums, err := digests(ctx, f.Content)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Path, err)
			}
			b.WriteString(" " + sums + "\n")
		}
		if b.Len() > 64<<10 {
			if _, err := b.WriteTo(z); err != nil {
				return nil, err
			}
		}
	}
	if _, err := b.WriteTo(z); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func digests(ctx context.Context, content formats.Blob) (string, error) {
	r, err := content.Open()
	if err != nil {
		return "", err
	}
	sum := md5.New()
	_, err = io.Copy(sum, &ctxReader{ctx, r})
	if err := errors.Join(err, r.Close()); err != nil {
		return "", err
	}
	ref := content.Ref()
	return fmt.Sprintf("size=%d md5digest=%x sha256digest=%s", ref.Size, sum.Sum(nil), ref.SHA256), nil
}

// mode is what the archive says of f: a link has no permissions of its own.
func mode(f *formats.File) int64 {
	if f.Type == formats.Symlink {
		return 0o777
	}
	return int64(f.UnixMode())
}

// number returns the user or group id of an owner: root's, or one that is written
// as a number. Other names have none that is known here.
func number(owner string) (id int, known bool) {
	if owner == "root" {
		return 0, true
	}
	n, err := strconv.ParseUint(owner, 10, 21) // what a plain tar header holds
	return int(n), err == nil
}

// escape writes a path as mtree(5) has it: everything but plain characters as a
// backslash and three octal digits.
func escape(path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if isDigit(c) || isLetter(c) || strings.IndexByte("/._-+,:@%", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "\\%03o", c)
		}
	}
	return b.String()
}
