package git

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// answers are what a host says: to "uploads" and "receives" its advertisements,
// to "list" of branches, "fetch" of a commit, "file" and "push" the rest. What is
// absent is what an empty repository of version 2 would say.
type answers map[string]string

// line is a packet.
func line(s string) string { return string(appendLine(nil, "%s", s)) }

// first is an advertisement of version 0, of a branch without commits.
func first(caps string) string {
	return line(id{}.String() + " capabilities^{}\x00" + caps + "\n")
}

// band is what a host sends in answer to a fetch: a pack of version 2.
func band(pack []byte) string { return line("packfile\n") + line("\x01"+string(pack)) + "0000" }

// serve answers by HTTP and returns the repository's URL.
func (a answers) serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ := io.ReadAll(r.Body)
		service, what, kind := r.URL.Query().Get("service"), "uploads", "advertisement"
		switch {
		case service == receivePack:
			what = "receives"
		case strings.HasSuffix(r.URL.Path, receivePack):
			service, what, kind = receivePack, "push", "result"
		case r.Method == http.MethodPost:
			service, what, kind = uploadPack, "file", "result"
			if bytes.Contains(asked, []byte("command=ls-refs")) {
				what = "list"
			} else if bytes.Contains(asked, []byte("deepen")) {
				what = "fetch"
			}
		}
		body, ok := a[what]
		if !ok {
			body = map[string]string{
				"uploads":  line("# service=git-upload-pack\n") + "0000" + line("version 2\n") + line("fetch=shallow filter\n") + "0000",
				"receives": line("# service=git-receive-pack\n") + "0000" + first("report-status") + "0000",
				"list":     "0000",
			}[what]
		}
		w.Header().Set("Content-Type", "application/x-"+service+"-"+kind)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/repo.git"
}

// Whatever a host answers to a reader: an error that says what is wrong.
func TestAnswersThatAreNotRightAreNamed(t *testing.T) {
	file := object{kind: blobKind, raw: []byte("content")}
	list := object{kind: treeKind, raw: renderTree([]entry{{fileMode, "a", hashOf(blobKind, file.raw)}})}
	root := hashOf(treeKind, list.raw)
	made := object{kind: commitKind, raw: []byte("tree " + root.String() + "\n\nx\n")}
	good := packed(t, made, list)
	pack := func(objects ...object) string { return band(packed(t, objects...)) }
	changed := func(at int, to byte) string {
		b := bytes.Clone(good)
		b[(at+len(b))%len(b)] = to
		return band(b)
	}
	// A host without filters, as the oldest: each fetch brings everything.
	old := line("# service=git-upload-pack\n") + "0000" + line(root.String()+" refs/heads/x\x00side-band-64k shallow\n") + "0000"
	bands := func(objects ...object) string {
		return "0000" + line("NAK\n") + line("\x01"+string(packed(t, objects...))) + "0000"
	}
	// A list of 128 MB; more than its beginning is not read.
	huge := line("\x01PACK\x00\x00\x00\x02\x00\x00\x00\x01\xa0\x80\x80\x80\x04\x78\x9c") + "0000"
	of := func(k kind, raw string) object { return object{kind: k, raw: []byte(raw)} }
	const half = "100644 a"
	lacking := of(treeKind, string(renderTree([]entry{{fileMode, "a", hashOf(blobKind, file.raw)}, {folderMode, "b", id{1}}})))
	lacks := "tree " + hashOf(treeKind, lacking.raw).String() + "\n"
	halved := "tree " + hashOf(treeKind, []byte(half)).String() + "\n"

	for _, c := range []struct {
		name    string
		version string // "" means the commit made
		answers answers
		want    string
	}{
		{"a version that is none", "1.2.3", nil, `object id "1.2.3" is not 40 hexadecimal digits`},
		{"a version that is no number", strings.Repeat("x", 40), nil, `x" is not 40 hexadecimal digits`},

		{"no git", "", answers{"uploads": "<html>\x1b[1m Hello"}, `an answer that is not git's: "<html> [1m Hello"; correct the URL`},
		{"length 3", "", answers{"uploads": "0003"}, "a packet of length 3 in the host's answer"},
		{"length 65535", "", answers{"uploads": "ffff" + strings.Repeat("x", 70000)}, "a packet of length 65535 in the host's answer"},
		{"ended in a packet", "", answers{"uploads": "0010x"}, "the answer ended early: something between here and the host, such as a proxy, cut it off; try again"},
		{"ended behind the first", "", answers{"uploads": line("# service=git-upload-pack\n")}, "the answer ended early: something between"},
		{"no flush behind the first", "", answers{"uploads": line("# service=git-upload-pack\n") + line("version 2\n")}, "the host's advertisement is damaged"},
		{"another hash", "", answers{"uploads": line("version 2\n") + line("object-format=md5\n") + "0000"}, `the repository names its objects by "md5", which is not supported: make one with --object-format=sha1`},
		{"a host that is too old", "", answers{"uploads": line(root.String()+" refs/heads/x\x00ofs-delta\n") + "0000"}, "the host's git is too old (it lacks side-band-64k): update it"},
		{"no NAK", "", answers{"uploads": old, "fetch": "0000" + line("ACK "+root.String()+"\n")}, `the host answers "ACK ` + root.String() + `" where NAK was expected`},
		{"no line", "", answers{"uploads": old, "fetch": "00000000"}, "the host's answer lacks a line"},

		{"words", "", answers{"fetch": line("ERR out of\x07 order\n")}, `the host says "out of order"`},
		{"words among the bytes", "", answers{"fetch": line("packfile\n") + line("\x03no memory")}, `the host says "no memory"`},
		{"a band that is none", "", answers{"fetch": line("packfile\n") + line("\x09?")}, "band 9 in the host's answer"},
		{"no pack", "", answers{"fetch": line("shallow-info\n") + "0000"}, "the host sends no pack"},
		{"another version of packs", "", answers{"fetch": changed(7, 9)}, "the host's pack is damaged: try again, and if that does not help, let git fsck"},
		{"a wrong sum", "", answers{"fetch": changed(-1, good[len(good)-1]+1)}, "the host's pack is damaged"},
		{"a wrong sum, of everything", "", answers{"uploads": old, "fetch": "0000" + line("NAK\n") + changed(-1, good[len(good)-1]+1)[len(line("packfile\n")):]}, "the host's pack is damaged"},
		{"a delta of another base", "", answers{"fetch": pack(made, list, object{kind: treeKind, raw: []byte{1, 1, 1, 'x'}, base: root})}, "a delta in the host's pack is damaged: let git fsck"},
		{"a delta that ends", "", answers{"fetch": pack(made, list, object{kind: treeKind, raw: []byte{byte(len(list.raw)), 9, 5, 'x'}, base: root})}, "a delta in the host's pack is damaged"},
		{"a delta of nothing", "", answers{"uploads": old, "fetch": bands(made, object{kind: treeKind, raw: []byte{1, 1, 1, 'x'}, base: id{1}})}, "the base of a delta is missing in the host's pack"},
		{"a list that is too large", "", answers{"fetch": line("packfile\n") + huge}, "a folder's list of 134217728 bytes in the branch is too large: spread its files over more folders"},
		{"a list that is too large, of everything", "", answers{"uploads": old, "fetch": "0000" + line("NAK\n") + huge}, "a folder's list of 134217728 bytes in the branch is too large: spread"},

		{"no commit", "", answers{"fetch": pack(list)}, "the host left out commit " + hashOf(commitKind, made.raw).String()},
		{"no folder", "", answers{"fetch": pack(made)}, "the host left out folder " + root.String() + " of the branch"},
		{"no folder beside the file", hashOf(commitKind, []byte(lacks)).String(), answers{"fetch": pack(of(commitKind, lacks), lacking), "file": pack(file)}, "the host left out folder " + id{1}.String() + " of the branch"},
		{"no file", "", answers{"uploads": old, "fetch": bands(made, list), "file": line("ERR upload-pack: not our ref")}, "the host left out file " + hashOf(blobKind, file.raw).String() + " of the branch"},
		{"a folder for a file", "", answers{"fetch": pack(made, list), "file": pack(list)}, "the host sent something else for object " + hashOf(blobKind, file.raw).String()},
		{"another file", "", answers{"fetch": pack(made, list), "file": pack(of(blobKind, "other"))}, "the host sent other content for object " + hashOf(blobKind, file.raw).String()},
		{"a commit without a folder", hashOf(commitKind, []byte("x")).String(), answers{"fetch": pack(of(commitKind, "x"))}, "commit " + hashOf(commitKind, []byte("x")).String() + " is damaged"},
		{"a folder of half a file", hashOf(commitKind, []byte(halved)).String(), answers{"fetch": pack(of(commitKind, halved), of(treeKind, half))}, "a folder's list in the branch is damaged"},
		{"a commit of no folder", hashOf(commitKind, []byte("tree x\n")).String(), answers{"fetch": pack(of(commitKind, "tree x\n"))}, `object id "x" is not 40 hexadecimal digits`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.version == "" {
				c.version = hashOf(commitKind, made.raw).String()
			}
			url := c.answers.serve(t)
			_, err := open(t, Options{URL: url}).Open(t.Context(), c.version, "a")
			wants(t, err, url+", branch gh-pages: ", c.want)
		})
	}
}

// A folder that is not here is not taken for an empty one, of which a publish
// would begin anew.
func TestMissingFoldersAreNotEmpty(t *testing.T) {
	missing := "the host left out folder " + id{1}.String() + " of the branch"
	_, _, err := trees{}.lookup(id{1}, "a")
	wants(t, err, missing)
	e := &edits{}
	e.set("a", id{2})
	_, err = trees{}.edit(id{1}, e, "", new([]newTree))
	wants(t, err, missing)
	f := newFolders()
	f.bytes = maxTrees
	wants(t, f.add(treeKind, []byte("x")), "the lists of the branch's folders are larger than 256 MB: use a branch with fewer files")
}

// Whatever a host answers to a push: the publish has failed, and says why.
func TestReportsOfAPush(t *testing.T) {
	const ref = "refs/heads/gh-pages"
	ng := func(why string) answers {
		return answers{"push": line("unpack ok\n") + line("ng "+ref+" "+why+"\n") + "0000"}
	}
	for _, c := range []struct {
		answers answers
		want    string
	}{
		{answers{"receives": first("ofs-delta") + "0000"}, "the host does not report what becomes of a push"},
		{answers{"push": line("hello\n") + "0000"}, `the host reports "hello"`},
		{answers{"push": "0000"}, "the host's answer lacks a line"},
		{answers{"push": line("unpack ok\n")}, "the answer ended early"},
		{answers{"push": line("unpack ok\n") + "0000"}, "the host does not say what became of the branch"},
		{answers{"push": line("unpack ok\n") + line("ok refs/heads/other\n") + "0000"}, "the host does not say what became of the branch"},
		{answers{"push": line("unpack index-pack failed\n") + line("ng "+ref+" unpacker error\n") + "0000"}, `the host refused the push: "unpack: index-pack failed"`},
		{ng("branch is currently checked out"), `the host refused the push: "branch is currently checked out": the repository has a work tree with this branch: use a bare one, or another branch`},
		{ng("No space left on device"), "the host has no room: free some, or drop old versions"},
		{answers{"receives": first("report-status side-band-64k") + "0000", "push": line("\x02quota is used\n") + line("\x01"+line("unpack ok\n")+line("ng "+ref+" hook declined\n")+"0000") + "0000"},
			`"hook declined", and said "quota is used": the host has no room`},
		{answers{"receives": first("report-status side-band-64k") + "0000", "push": line("\x02see the log\n") + line("\x01"+line("hello\n")+"0000") + "0000"}, `the host refused the push: "the host reports \"hello\"", and said "see the log"`},
	} {
		url := c.answers.serve(t)
		_, err := open(t, Options{URL: url}).Commit(t.Context(), "", put("a", "1"))
		wants(t, err, url+", branch gh-pages: ", c.want)
	}
}
