package rpm

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// The file type bits of stat(2), as headers and cpio hold them.
const (
	modeRegular = 0o100000
	modeDir     = 0o040000
	modeSymlink = 0o120000
	modeType    = 0o170000
)

// verifyAll lets rpm -V check everything; a ghost's content is not ours.
const (
	verifyAll   = math.MaxUint32
	verifyGhost = verifyAll &^ (1<<0 | 1<<1 | 1<<2 | 1<<5) // digest, size, target, mtime
)

// maxPath is Linux's PATH_MAX without the NUL; rpm reads no longer names.
const maxPath = 4095

// fileList is the sorted content of a package.
type fileList struct {
	files []formats.File
	mtime uint32
	large bool  // a file needs 64-bit sizes: over 4 GiB
	size  int64 // of all content
}

func newFileList(files []formats.File, mtime uint32) (*fileList, error) {
	l := &fileList{files: formats.SortFiles(files), mtime: mtime}
	if err := formats.CheckFiles(l.files); err != nil {
		return nil, err
	}
	for i := range l.files {
		f := &l.files[i]
		if len(f.Path) > maxPath {
			return nil, fmt.Errorf("path %q… is %d bytes long; rpm takes %d", f.Path[:64], len(f.Path), maxPath)
		}
		for _, s := range []string{f.Owner, f.Group, f.Target} {
			if hasControl(s) {
				return nil, fmt.Errorf("file %q: %q has a control character", f.Path, s)
			}
		}
		if entrySizeOf(f) > math.MaxUint32 {
			l.large = true
		}
		if f.Type != formats.Ghost {
			l.size += entrySizeOf(f)
		}
	}
	return l, nil
}

// entrySizeOf is what stat(2) would say of the file; rpm's own packages have 0
// for directories.
func entrySizeOf(f *formats.File) int64 {
	if f.Type == formats.Symlink {
		return int64(len(f.Target))
	}
	return f.Size()
}

func modeOf(f *formats.File) uint32 {
	switch f.Type {
	case formats.Dir:
		return modeDir | f.UnixMode()
	case formats.Symlink:
		return modeSymlink | 0o777
	}
	return modeRegular | f.UnixMode()
}

func flagsOf(f *formats.File) uint32 {
	switch f.Type {
	case formats.Config:
		return fileConfig
	case formats.Keep:
		return fileConfig | fileNoReplace
	case formats.Doc:
		return fileDoc
	case formats.Ghost:
		return fileGhost
	}
	if isManual(f.Path) {
		return fileDoc
	}
	return 0
}

// addTo writes one array per property of files.
func (l *fileList) addTo(h *header) {
	n := len(l.files)
	if n == 0 {
		return
	}
	var (
		be                                                   = binary.BigEndian
		sizes                                                = make([]byte, 0, 8*n)
		modes, rdevs                                         = make([]byte, 0, 2*n), make([]byte, 2*n)
		mtimes, flags, verify, devices, inodes, dirs         = int32Array(n), int32Array(n), int32Array(n), int32Array(n), int32Array(n), int32Array(n)
		digests                                              = make([]byte, 0, 65*n)
		targets, users, groups, langs, baseNames, dirStrings []byte
		dirNames                                             []string
		dirIndex                                             = make(map[string]uint32)
	)
	users, groups = make([]byte, 0, 5*n), make([]byte, 0, 5*n)
	targets, langs, baseNames = make([]byte, 0, n), make([]byte, n), make([]byte, 0, 16*n)
	for i := range l.files {
		f := &l.files[i]
		if l.large {
			sizes = be.AppendUint64(sizes, uint64(entrySizeOf(f)))
		} else {
			sizes = be.AppendUint32(sizes, uint32(entrySizeOf(f)))
		}
		modes = be.AppendUint16(modes, uint16(modeOf(f)))
		mtimes = be.AppendUint32(mtimes, l.mtime)
		flags = be.AppendUint32(flags, flagsOf(f))
		if f.Type == formats.Ghost {
			verify = be.AppendUint32(verify, verifyGhost)
		} else {
			verify = be.AppendUint32(verify, verifyAll)
		}
		devices = be.AppendUint32(devices, 1)
		inodes = be.AppendUint32(inodes, uint32(i)+1)
		if f.IsRegular() {
			sum := f.Content.Ref().SHA256
			digests = hex.AppendEncode(digests, sum[:])
		}
		digests = append(digests, 0)
		if f.Type == formats.Symlink {
			targets = append(targets, f.Target...)
		}
		targets = append(targets, 0)
		users = append(append(users, f.OwnerOr()...), 0)
		groups = append(append(groups, f.GroupOr()...), 0)

		dir, base := path.Split(f.Path)
		at, ok := dirIndex[dir]
		if !ok {
			at = uint32(len(dirNames))
			dirIndex[dir] = at
			dirNames = append(dirNames, dir)
		}
		dirs = be.AppendUint32(dirs, at)
		baseNames = append(append(baseNames, base...), 0)
	}
	for _, d := range dirNames {
		dirStrings = append(append(dirStrings, d...), 0)
	}
	if l.large {
		h.add(tagLongFileSizes, kindInt64, n, sizes)
	} else {
		h.add(tagFileSizes, kindInt32, n, sizes)
	}
	h.add(tagFileModes, kindInt16, n, modes)
	h.add(tagFileRdevs, kindInt16, n, rdevs)
	h.add(tagFileMtimes, kindInt32, n, mtimes)
	h.add(tagFileDigests, kindStringArray, n, digests)
	h.add(tagFileLinkTos, kindStringArray, n, targets)
	h.add(tagFileFlags, kindInt32, n, flags)
	h.add(tagFileUserName, kindStringArray, n, users)
	h.add(tagFileGroupName, kindStringArray, n, groups)
	h.add(tagFileVerifyFlags, kindInt32, n, verify)
	h.add(tagFileDevices, kindInt32, n, devices)
	h.add(tagFileInodes, kindInt32, n, inodes)
	h.add(tagFileLangs, kindStringArray, n, langs)
	h.add(tagDirIndexes, kindInt32, n, dirs)
	h.add(tagBaseNames, kindStringArray, n, baseNames)
	h.add(tagDirNames, kindStringArray, len(dirNames), dirStrings)
	h.int32s(tagFileDigestAlgo, hashSHA256)
}

func int32Array(n int) []byte { return make([]byte, 0, 4*n) }

// hasControl reports whether s has a character that would break a line.
func hasControl(s string) bool {
	return slices.ContainsFunc([]byte(s), func(c byte) bool { return c < ' ' || c == 0x7f })
}

// features lists the rpmlib(…) capabilities the files need.
func (l *fileList) features() []relation {
	list := []relation{
		rpmlib("CompressedFileNames", "3.0.4-1"),
		rpmlib("FileDigests", "4.6.0-1"),
		rpmlib("PayloadFilesHavePrefix", "4.0-1"),
	}
	if l.large {
		list = append(list, rpmlib("LargeFiles", "4.12.0-1"))
	}
	return list
}

func rpmlib(feature, since string) relation {
	return relation{"rpmlib(" + feature + ")", senseRPMLib | senseLess | senseEqual, since}
}

// relationFeatures lists the rpmlib(…) capabilities that relations need: an rpm
// that does not know a character in a version would sort it wrongly.
func relationFeatures(sets ...[]relation) []relation {
	var rich, tilde, caret bool
	for _, set := range sets {
		for _, r := range set {
			isRich := strings.HasPrefix(r.name, "(")
			rich = rich || isRich
			tilde = tilde || strings.Contains(r.version, "~") || isRich && strings.Contains(r.name, "~")
			caret = caret || strings.Contains(r.version, "^") || isRich && strings.Contains(r.name, "^")
		}
	}
	var list []relation
	if rich {
		list = append(list, rpmlib("RichDependencies", "4.12.0-1"))
	}
	if tilde {
		list = append(list, rpmlib("TildeInVersions", "4.10.0-1"))
	}
	if caret {
		list = append(list, rpmlib("CaretInVersions", "4.15.0-1"))
	}
	return list
}
