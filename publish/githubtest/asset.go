package githubtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The states of an asset.
const (
	Uploaded = "uploaded"
	Starter  = "starter" // an upload is under way, or ended early
)

// Asset is a release's asset as it stands. Add takes Name, Bytes and what else is
// set; an empty State is Uploaded.
type Asset struct {
	ID      int64
	Name    string
	Label   string
	Type    string
	State   string
	Size    int64
	SHA256  string // of Bytes, hexadecimal; "" while it is a starter
	Bytes   []byte // nil with Options.Forget
	Created time.Time
}

type asset struct{ Asset }

// put adds an asset as it is given.
func (x *release) put(s *Server, a Asset) *asset {
	a.ID = s.nextID()
	if a.State == "" {
		a.State = Uploaded
	}
	if a.Type == "" {
		a.Type = "application/octet-stream"
	}
	if a.Created.IsZero() {
		a.Created = s.now()
	}
	if a.State == Uploaded && a.SHA256 == "" {
		sum := sha256.Sum256(a.Bytes)
		a.SHA256, a.Size = hex.EncodeToString(sum[:]), int64(len(a.Bytes))
	}
	p := &asset{a}
	x.assets = append(x.assets, p)
	return p
}

func (r *Repository) assetJSON(x *release, a *asset) any {
	var digest, label any = nil, nil
	if a.State == Uploaded && !r.s.o.NoDigests {
		digest = "sha256:" + a.SHA256
	}
	if a.Label != "" {
		label = a.Label
	}
	stamp := a.Created.UTC().Format(time.RFC3339)
	return map[string]any{
		"id": a.ID, "node_id": node("RA", a.ID), "name": a.Name, "label": label, "content_type": a.Type, "state": a.State, "size": a.Size,
		"digest": digest, "download_count": 0, "created_at": stamp, "updated_at": stamp, "uploader": r.s.user("octocat"),
		"url": r.api("/releases/assets/%d", a.ID), "browser_download_url": r.page("/releases/download/%s/%s", x.shown(), a.Name),
	}
}

func (r *Repository) asset(id string) (*release, *asset) {
	n, _ := strconv.ParseInt(id, 10, 64) // as with releases
	for _, x := range r.releases {
		for _, a := range x.assets {
			if a.ID == n {
				return x, a
			}
		}
	}
	return nil, nil
}

func listAssets(c *call) answer {
	x := byID(c)
	if x == nil {
		return notFound()
	}
	return page(c, x.assets, func(a *asset) any { return c.repo.assetJSON(x, a) })
}

// getAsset answers with what is known of an asset, or leads to its bytes.
func getAsset(c *call) answer {
	x, a := c.repo.asset(c.params["asset_id"])
	if x == nil || x.Draft && !c.writes() {
		return notFound()
	}
	if c.r.Header.Get("Accept") != "application/octet-stream" {
		return ok(c.repo.assetJSON(x, a))
	}
	if a.State != Uploaded {
		return notFound()
	}
	return redirect(c.s.signed(a))
}

func updateAsset(c *call) answer {
	x, a := c.repo.asset(c.params["asset_id"])
	if x == nil {
		return notFound()
	}
	if x.Immutable {
		return refuse(http.StatusUnprocessableEntity, "Cannot update assets of an immutable release.")
	}
	var in struct{ Name, Label *string }
	c.decode(&in)
	if in.Name != nil && *in.Name != a.Name && x.has(rewritten(*in.Name)) {
		return invalid("ReleaseAsset", "already_exists", "name", "")
	}
	if in.Name != nil {
		a.Name = rewritten(*in.Name)
	}
	set(&a.Label, in.Label)
	return ok(c.repo.assetJSON(x, a))
}

func (x *release) has(name string) bool {
	return slices.ContainsFunc(x.assets, func(a *asset) bool { return a.Name == name })
}

func deleteAsset(c *call) answer {
	x, a := c.repo.asset(c.params["asset_id"])
	if x == nil {
		return notFound()
	}
	if x.Immutable {
		return refuse(http.StatusUnprocessableEntity, "Cannot delete assets from an immutable release.")
	}
	x.assets = slices.DeleteFunc(x.assets, func(o *asset) bool { return o == a })
	return answer{status: http.StatusNoContent}
}

var special = regexp.MustCompile(`[^A-Za-z0-9_+@-]+`)

// rewritten is the name GitHub gives an asset: whatever is no ASCII letter, digit,
// "_", "-", "+" or "@" becomes a dot, several in a row one, and none is at an end.
// Letters with accents, which GitHub writes without, are not the double's matter.
func rewritten(name string) string {
	return strings.Trim(special.ReplaceAllString(name, "."), ".")
}

// maxAssets is how many a release may have.
const maxAssets = 1000

// uploadAsset takes an asset's bytes. The asset is there from the first byte on,
// as a starter, and stays one if the last never comes.
func uploadAsset(c *call) answer {
	x := byID(c)
	q := c.r.URL.Query()
	name := rewritten(q.Get("name"))
	switch {
	case x == nil:
		return notFound()
	case x.Immutable:
		return refuse(http.StatusUnprocessableEntity, "Cannot upload assets to an immutable release.")
	case c.r.ContentLength <= 0:
		return refuse(http.StatusBadRequest, "Bad Content-Length: ")
	case c.r.Header.Get("Content-Type") == "":
		return refuse(http.StatusBadRequest, "Bad Content-Type")
	case c.r.ContentLength >= 2<<30:
		return invalid("ReleaseAsset", "custom", "size", "size must be less than 2147483648")
	case x.has(name):
		return invalid("ReleaseAsset", "already_exists", "name", "")
	case len(x.assets) >= maxAssets:
		return invalid("ReleaseAsset", "custom", "file_count", "file_count limited to 1000 assets per release")
	}
	a := x.put(c.s, Asset{Name: name, Label: q.Get("label"), Type: c.r.Header.Get("Content-Type"), State: Starter})
	n, sum, content, err := c.receive()
	if err != nil || c.fault.Stop > 0 {
		return refuse(http.StatusBadRequest, "the body ended early") // nobody is there to read it
	}
	if !slices.Contains(x.assets, a) {
		return notFound() // somebody deleted the starter
	}
	a.State, a.Size, a.SHA256, a.Bytes = Uploaded, n, sum, content
	ans := ok(c.repo.assetJSON(x, a))
	ans.status = http.StatusCreated
	return ans
}

// receive reads a body without the lock.
func (c *call) receive() (n int64, sum string, content []byte, err error) {
	c.s.uploads++
	c.s.mu.Unlock()
	defer func() {
		c.s.mu.Lock()
		c.s.uploads--
	}()
	h := sha256.New()
	var b bytes.Buffer
	w := io.Writer(h)
	if !c.s.o.Forget {
		w = io.MultiWriter(h, &b)
	}
	from := io.Reader(c.r.Body)
	if c.fault.Stop > 0 {
		from = io.LimitReader(from, c.fault.Stop)
	}
	n, err = io.Copy(w, from)
	if err == nil && c.fault.Stop == 0 && n != c.r.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return n, hex.EncodeToString(h.Sum(nil)), b.Bytes(), err
}

// signed is where an asset's bytes are: on another host, for whoever has the URL.
func (s *Server) signed(a *asset) string {
	return fmt.Sprintf("%s/files/%d?sig=%s&name=%s", s.FilesURL, a.ID, a.signature(), a.Name)
}

func (a *asset) signature() string { return hash("signature", fmt.Sprint(a.ID))[:20] }

// servePage serves what people and package managers fetch without the API:
// /owner/name/releases/download/tag/asset.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/login/oauth/authorize":
		s.authorizePage(w, r)
		return
	case path == "/login/oauth/access_token" && r.Method == http.MethodPost:
		s.exchange(w, r)
		return
	case strings.HasSuffix(path, "/settings/apps/new") && r.Method == http.MethodPost, path == "/settings/apps/new" && r.Method == http.MethodPost:
		s.manifestPage(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, repo := range s.repos {
		rest, ok := strings.CutPrefix(r.URL.Path, "/"+repo.Owner+"/"+repo.Name+"/releases/download/")
		if !ok || repo.private {
			continue
		}
		for _, x := range repo.releases {
			for _, a := range x.assets {
				if rest == x.Tag+"/"+a.Name && !x.Draft && a.State == Uploaded {
					http.Redirect(w, r, s.signed(a), http.StatusFound)
					return
				}
			}
		}
	}
	http.NotFound(w, r)
}

// serveFile serves the bytes of assets.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		s.t.Errorf("%s: the host for downloads was sent a token", r.URL.Path)
	}
	id := strings.TrimPrefix(r.URL.Path, "/files/")
	s.mu.Lock()
	var content []byte
	for _, repo := range s.repos {
		if _, a := repo.asset(id); a != nil && a.signature() == r.URL.Query().Get("sig") {
			content = a.Bytes
		}
	}
	s.mu.Unlock()
	if content == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	w.Write(content)
}
