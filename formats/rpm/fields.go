package rpm

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/distropack/distropack/formats"
)

// Meta.Fields of an rpm are not lines of the file, since a header is not text.
// Describe makes them, in this order; publish/repo/dnf renders its index from
// them alone.
//
// Each once, and left out where empty:
//
//	summary description epoch version release license vendor group buildhost
//	sourcerpm url packager buildtime size archivesize headerstart headerend
//
// epoch is "0" where the package has none. buildtime is in Unix seconds, size the
// installed size and archivesize that of the payload before compression, both in
// bytes; headerstart and headerend are where the main header starts in the file
// and where the payload does. sourcerpm is missing from source packages, whose
// Meta.Arch is "src" and whose Meta.Files have no directory.
//
// Any number of times, in the order of the header:
//
//	provides requires conflicts obsoletes recommends suggests supplements enhances
//
// with six columns separated by tabs: name, comparison (EQ LT LE GT GE or
// nothing), epoch, version, release, and "1" where the relation must hold before
// the package's scripts run, else "0". Without a comparison the three after it
// are empty; with one the epoch is "0" where none was given, and the release may
// be empty. A rich relation stands whole in the first column. rpmlib(…) entries
// are among them; no two are the same.
//
//	changelog
//
// with the time in Unix seconds, a tab, the author, a tab and the text, which may
// have several lines: the first maxChanges entries of the header, newest first.

// maxChanges is how many changelog entries are kept, as createrepo_c does:
// kernels have thousands.
const maxChanges = 10

func readFields(sig, h *index, v evr, start, end int64) ([]formats.Field, error) {
	w := fieldWriter{sig: sig, h: h}
	w.text("summary", tagSummary)
	w.text("description", tagDescription)
	w.add("epoch", zeroIfEmpty(v.epoch))
	w.add("version", v.version)
	w.add("release", v.release)
	w.text("license", tagLicense)
	w.text("vendor", tagVendor)
	w.text("group", tagGroup)
	w.text("buildhost", tagBuildHost)
	w.text("sourcerpm", tagSourceRPM)
	w.text("url", tagURL)
	w.text("packager", tagPackager)
	w.number("buildtime", h, tagBuildTime)
	w.number("size", h, tagLongSize, tagSize)
	if sig.has(tagSigLongArchiveSize) || sig.has(tagSigPayloadSize) {
		w.number("archivesize", sig, tagSigLongArchiveSize, tagSigPayloadSize)
	} else {
		w.number("archivesize", h, tagArchiveSize)
	}
	w.add("headerstart", strconv.FormatInt(start, 10))
	w.add("headerend", strconv.FormatInt(end, 10))
	for _, k := range relationTags {
		w.relations(k.field, k.name, k.flags, k.version)
	}
	w.changelog()
	return w.fields, w.err
}

// fieldWriter keeps the first mistake and does nothing after it.
type fieldWriter struct {
	sig, h *index
	fields []formats.Field
	err    error
}

func (w *fieldWriter) add(key, value string) {
	if value != "" && w.err == nil {
		w.fields = append(w.fields, formats.Field{Key: key, Value: value})
	}
}

func (w *fieldWriter) text(key string, t tag) {
	w.add(key, at(w.strings(t), 0))
}

func (w *fieldWriter) number(key string, h *index, tags ...tag) {
	if w.err != nil {
		return
	}
	var n uint64
	n, w.err = h.int(tags...)
	w.add(key, strconv.FormatUint(n, 10))
}

func (w *fieldWriter) strings(t tag) (list []string) {
	if w.err == nil {
		list, w.err = w.h.strings(t)
	}
	return list
}

func (w *fieldWriter) ints(t tag) (list []uint64) {
	if w.err == nil {
		list, w.err = w.h.ints(t)
	}
	return list
}

// comparisons holds the words for the three low bits of a relation's flags.
var comparisons = map[uint64]string{
	senseLess:                 "LT",
	senseLess | senseEqual:    "LE",
	senseEqual:                "EQ",
	senseGreater | senseEqual: "GE",
	senseGreater:              "GT",
}

func (w *fieldWriter) relations(key string, name, flags, version tag) {
	names, bits, versions := w.strings(name), w.ints(flags), w.strings(version)
	// Packages of rpm 3 have names alone.
	if w.err == nil && (len(bits) != len(names) || len(versions) != len(names)) && len(bits)+len(versions) > 0 {
		w.err = fmt.Errorf("header has %d %s, but %d flags and %d versions", len(names), key, len(bits), len(versions))
	}
	seen := make(map[string]bool)
	for i, n := range names {
		if w.err != nil {
			return
		}
		op, pre, v := "", "0", evr{}
		if len(bits) > 0 {
			op = comparisons[bits[i]&(senseLess|senseGreater|senseEqual)]
			if op != "" {
				v = parseEVR(versions[i])
				v.epoch = zeroIfEmpty(v.epoch)
			}
			if bits[i]&(sensePrereq|senseScriptPre|senseScriptPost) != 0 {
				pre = "1"
			}
		}
		value := strings.Join([]string{n, op, v.epoch, v.version, v.release, pre}, "\t")
		if strings.Count(value, "\t") != 5 || strings.ContainsAny(value, "\n\r") {
			w.err = fmt.Errorf("%s: %q has a tab or a line break", key, n+" "+v.String())
			return
		}
		if !seen[value] { // /bin/sh is needed by each script
			seen[value] = true
			w.add(key, value)
		}
	}
}

func (w *fieldWriter) changelog() {
	times, names, texts := w.ints(tagChangelogTime), w.strings(tagChangelogName), w.strings(tagChangelogText)
	if w.err == nil && (len(names) != len(times) || len(texts) != len(times)) {
		w.err = fmt.Errorf("header has %d changelog times, but %d authors and %d texts", len(times), len(names), len(texts))
	}
	for i := range min(len(times), maxChanges) {
		if w.err != nil {
			return
		}
		author := strings.Map(oneLine, names[i])
		w.add("changelog", strconv.FormatUint(times[i], 10)+"\t"+author+"\t"+texts[i])
	}
}

func oneLine(r rune) rune {
	if r == '\t' || r == '\n' || r == '\r' {
		return ' '
	}
	return r
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}
