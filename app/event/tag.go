package event

import "strings"

const tagPrefix = "refs/tags/"

// push is of a branch or a tag. What the tag is now is none of its business:
//   - after is the id of the tag's object if the tag is annotated, head_commit is the
//     commit it leads to, or null if it leads to none;
//   - base_ref names a branch that happens to hold the commit, and says nothing of what
//     was pushed.
type push struct {
	shared
	Ref        string `json:"ref"`
	Before     string `json:"before"`
	After      string `json:"after"`
	Created    bool   `json:"created"`
	Deleted    bool   `json:"deleted"`
	HeadCommit *struct {
		ID string `json:"id"`
	} `json:"head_commit"`
}

func (p *push) read(e *Event) error {
	tag, ok := strings.CutPrefix(p.Ref, tagPrefix)
	if !ok {
		e.ignore("what was pushed is not a tag")
		return nil
	}
	if err := e.setTag(tag); err != nil {
		return err
	}
	if p.Deleted || zero(p.After) {
		e.Kind = TagDeleted
		return nil
	}
	e.Moved = !p.Created && !zero(p.Before)
	if p.HeadCommit == nil {
		return nil
	}
	e.Commit = p.HeadCommit.ID
	return checkCommit(e.Commit)
}

// create is of a branch, a tag or a repository, and names no commit.
type create struct {
	shared
	Ref     string `json:"ref"`
	RefType string `json:"ref_type"`
}

func (p *create) read(e *Event) error {
	if p.RefType != "tag" {
		e.ignore("what was created is not a tag")
		return nil
	}
	return e.setTag(p.Ref)
}

func (e *Event) setTag(tag string) error {
	if err := checkRef("tag", tag); err != nil {
		return err
	}
	e.Tag, e.Ref = tag, tagPrefix+tag
	return nil
}

// zero holds for the id that stands for nothing.
func zero(id string) bool { return id != "" && strings.Trim(id, "0") == "" }
