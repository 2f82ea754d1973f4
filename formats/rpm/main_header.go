package rpm

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

// mainHeader is everything a main header says apart from files and payload.
type mainHeader struct {
	spec     *formats.Spec
	codec    pack.Codec
	group    string
	arch     arch
	evr      evr
	identity formats.Identity
	time     uint32
	scripts  []scriptlet
	changes  []change
	fields   []formats.Field // plain tags of Spec.Fields

	provides, requires, conflicts, obsoletes    relationSet
	recommends, suggests, supplements, enhances relationSet
}

// buildHost stands where rpm names the machine, which must not show.
const buildHost = "distropack"

// rpmVersion is the rpm whose form of the header this is.
const rpmVersion = "4.18.0"

func (f *Format) newMain(spec *formats.Spec, p formats.Platform) (*mainHeader, error) {
	m := &mainHeader{
		spec: spec, codec: f.options.Compression,
		group:       cmp.Or(f.options.Group, spec.Section, "Unspecified"),
		provides:    relationSet{word: "provides"},
		requires:    relationSet{word: "depends", rich: true},
		conflicts:   relationSet{word: "conflicts", rich: true, any: true},
		obsoletes:   relationSet{word: "replaces"},
		recommends:  relationSet{word: "recommends", rich: true},
		suggests:    relationSet{word: "suggests", rich: true},
		supplements: relationSet{word: "supplements", rich: true, any: true},
		enhances:    relationSet{word: "enhances", rich: true, any: true},
	}
	var err error
	if m.arch, err = archOf(p); err != nil {
		return nil, err
	}
	if err := checkName(spec.Name); err != nil {
		return nil, err
	}
	if m.evr, err = versionOf(spec); err != nil {
		return nil, err
	}
	if m.time, err = unixTime(spec.Time); err != nil {
		return nil, err
	}
	m.identity = formats.Identity{
		Filename: spec.Name + "-" + m.evr.version + "-" + m.evr.release + "." + m.arch.name + ".rpm",
		Name:     spec.Name,
		Version:  m.evr.String(),
		Arch:     m.arch.name,
	}
	if n := len(m.identity.Filename); n > 255 {
		return nil, fmt.Errorf("file name %q is %d bytes long; file systems take 255", m.identity.Filename, n)
	}
	if err := m.checkTexts(); err != nil {
		return nil, err
	}
	if m.scripts, err = scriptlets(spec); err != nil {
		return nil, err
	}
	if m.changes, err = changes(spec); err != nil {
		return nil, err
	}
	if err := m.addFields(); err != nil {
		return nil, err
	}
	if err := m.addRelations(); err != nil {
		return nil, err
	}
	return m, nil
}

// checkName applies rpm's rule for names.
func checkName(name string) error {
	legal := name != "" && (isAlnum(name[0]) || name[0] == '_') && !strings.Contains(name, "..")
	for i := range len(name) {
		legal = legal && (isAlnum(name[i]) || strings.IndexByte("-._+", name[i]) >= 0)
	}
	if !legal {
		return fmt.Errorf("name %q: rpm takes letters, digits and - . _ +, starting with a letter, a digit or _, without two dots in a row", name)
	}
	return nil
}

func (m *mainHeader) checkTexts() error {
	s := m.spec
	for _, t := range []struct{ what, text string }{
		{"summary", s.Summary}, {"homepage", s.Homepage}, {"license", s.License}, {"maintainer", s.Maintainer},
		{"vendor", s.Vendor}, {"section", s.Section},
	} {
		if err := checkLine(t.what, t.text); err != nil {
			return err
		}
	}
	if s.Source != "" {
		if err := checkName(s.Source); err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
	return checkText("description", s.Description)
}

// checkLine refuses what is not one line of UTF-8.
func checkLine(what, s string) error {
	if hasControl(s) {
		return fmt.Errorf("%s %q has a control character; it must be one line", what, s)
	}
	return checkText(what, s)
}

// checkText refuses what is not UTF-8, which the header says all text is.
func checkText(what, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s %q is not UTF-8", what, s)
	}
	if hasControl(strings.NewReplacer("\n", "", "\t", "").Replace(s)) {
		return fmt.Errorf("%s %q has a control character", what, s)
	}
	return nil
}

// fieldTags are the tags that Spec.Fields may set, by the words of a spec file.
var fieldTags = map[string]tag{
	"Distribution":    tagDistribution,
	"DistURL":         tagDistURL,
	"DistTag":         tagDistTag,
	"BugURL":          tagBugURL,
	"VCS":             tagVCS,
	"ModularityLabel": tagModularityLabel,
}

func (m *mainHeader) addFields() error {
	seen := make(map[string]bool)
	for _, f := range m.spec.Fields {
		if err := checkLine("field "+f.Key, f.Value); err != nil {
			return err
		}
		switch f.Key {
		case "Supplements":
			if err := m.supplements.add(f.Value, 0); err != nil {
				return err
			}
			continue
		case "Enhances":
			if err := m.enhances.add(f.Value, 0); err != nil {
				return err
			}
			continue
		}
		if _, ok := fieldTags[f.Key]; !ok {
			return fmt.Errorf("field %q can't be set in an rpm package; Distribution, DistURL, DistTag, BugURL, VCS, ModularityLabel, Supplements and Enhances can", f.Key)
		}
		if seen[f.Key] {
			return fmt.Errorf("field %q is there twice", f.Key)
		}
		seen[f.Key] = true
		m.fields = append(m.fields, f)
	}
	return nil
}

func (m *mainHeader) addRelations() error {
	s := m.spec
	for _, kind := range []struct {
		set   *relationSet
		list  []string
		extra uint32
	}{
		{&m.provides, s.Provides, 0},
		{&m.requires, s.Depends, 0},
		{&m.requires, s.PreDepends, senseScriptPre},
		{&m.conflicts, s.Conflicts, 0},
		{&m.obsoletes, s.Replaces, 0},
		{&m.recommends, s.Recommends, 0},
		{&m.suggests, s.Suggests, 0},
	} {
		for _, text := range kind.list {
			if err := kind.set.add(text, kind.extra); err != nil {
				return err
			}
		}
	}
	self := relation{s.Name, senseEqual, m.evr.String()}
	m.provides.list = append(m.provides.list, self)
	if m.arch.isa != "" {
		self.name += "(" + m.arch.isa + ")"
		m.provides.list = append(m.provides.list, self)
	}
	for _, script := range m.scripts {
		for _, prog := range append([]string{script.argv[0]}, script.needs...) {
			m.requires.list = append(m.requires.list, relation{prog, senseInterp | script.sense, ""})
		}
	}
	return nil
}

// header renders the main header. packed and plain are the payload's digests
// after and before compression.
func (m *mainHeader) header(list *fileList, packed, plain formats.Digest) ([]byte, error) {
	s := m.spec
	h := &header{}
	h.strings(tagHeaderI18NTable, "C")
	h.string(tagName, s.Name)
	h.string(tagVersion, m.evr.version)
	h.string(tagRelease, m.evr.release)
	if m.evr.epoch != "" {
		h.int32s(tagEpoch, atoi32(m.evr.epoch))
	}
	summary := cmp.Or(s.Summary, s.Name)
	h.i18n(tagSummary, summary)
	h.i18n(tagDescription, cmp.Or(strings.TrimRight(s.Description, "\n"), summary))
	h.int32s(tagBuildTime, m.time)
	h.string(tagBuildHost, buildHost)
	h.size(tagSize, tagLongSize, list.size)
	h.optional(tagVendor, s.Vendor)
	h.optional(tagLicense, s.License)
	h.optional(tagPackager, s.Maintainer)
	h.i18n(tagGroup, m.group)
	h.optional(tagURL, s.Homepage)
	h.string(tagOS, "linux")
	h.string(tagArch, m.arch.name)
	for _, script := range m.scripts {
		h.string(script.tag, script.body)
		if len(script.argv) == 1 {
			h.string(script.prog, script.argv[0])
		} else {
			h.strings(script.prog, script.argv...)
		}
		if script.critical {
			h.int32s(tagPostInFlags, scriptCritical)
		}
	}
	// A package without this tag is taken for a source package.
	h.string(tagSourceRPM, cmp.Or(s.Source, s.Name)+"-"+m.evr.version+"-"+m.evr.release+".src.rpm")
	h.string(tagRPMVersion, rpmVersion)
	h.string(tagPlatform, m.arch.name+"-linux")
	h.string(tagEncoding, "utf-8")
	for _, f := range m.fields {
		h.string(fieldTags[f.Key], f.Value)
	}
	m.writeRelations(h, list)
	writeChanges(h, m.changes)
	list.addTo(h)

	h.string(tagPayloadFormat, "cpio")
	switch m.codec {
	case pack.Zstd:
		h.string(tagPayloadCompressor, "zstd")
		h.string(tagPayloadFlags, "3")
	case pack.Gzip:
		h.string(tagPayloadCompressor, "gzip")
		h.string(tagPayloadFlags, "6")
	}
	h.strings(tagPayloadDigest, packed.String())
	h.int32s(tagPayloadDigestAlgo, hashSHA256)
	h.strings(tagPayloadDigestAlt, plain.String())
	return h.bytes(tagHeaderImmutable)
}

func (m *mainHeader) writeRelations(h *header, files *fileList) {
	sets := map[string]*relationSet{
		"provides": &m.provides, "requires": &m.requires, "conflicts": &m.conflicts, "obsoletes": &m.obsoletes,
		"recommends": &m.recommends, "suggests": &m.suggests, "supplements": &m.supplements, "enhances": &m.enhances,
	}
	var said [][]relation
	for _, k := range relationTags {
		said = append(said, sets[k.field].list)
	}
	requires := m.requires
	requires.list = append(requires.list[:len(requires.list):len(requires.list)], files.features()...)
	requires.list = append(requires.list, relationFeatures(said...)...)
	if m.codec == pack.Zstd {
		requires.list = append(requires.list, rpmlib("PayloadIsZstd", "5.4.18-1"))
	}
	sets["requires"] = &requires
	for _, k := range relationTags {
		h.relations(k.name, k.flags, k.version, sets[k.field].sorted())
	}
}
