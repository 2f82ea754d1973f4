package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// repositoryJSON is a repository as most events have it. Lists of an installation
// have no owner but in full_name.
type repositoryJSON struct {
	ID            int64        `json:"id"`
	Name          string       `json:"name"`
	FullName      string       `json:"full_name"`
	Owner         *accountJSON `json:"owner"`
	DefaultBranch string       `json:"default_branch"`
	Private       bool         `json:"private"`
	Archived      bool         `json:"archived"`
}

func (p *repositoryJSON) repository() (*Repository, error) {
	if err := checkID("repository", p.ID); err != nil {
		return nil, err
	}
	if err := checkRepository(p.Name); err != nil {
		return nil, err
	}
	r := &Repository{ID: p.ID, Name: p.Name, DefaultBranch: p.DefaultBranch, Private: p.Private, Archived: p.Archived}
	if p.DefaultBranch != "" {
		if err := checkRef("default branch", p.DefaultBranch); err != nil {
			return nil, err
		}
	}
	if p.Owner != nil {
		owner, err := p.Owner.account("owner")
		r.Owner = owner
		return r, err
	}
	owner, name, _ := strings.Cut(p.FullName, "/")
	if name != p.Name {
		return nil, fmt.Errorf("repository %s calls itself %s", quote(p.Name), quote(p.FullName))
	}
	r.Owner.Login = owner
	return r, checkOwner("owner", owner)
}

// repositoryChange is of a repository's own life.
type repositoryChange struct {
	shared
	Changes struct {
		Repository struct {
			Name struct {
				From string `json:"from"`
			} `json:"name"`
		} `json:"repository"`
		Owner struct {
			From struct {
				User         *accountJSON `json:"user"`
				Organization *accountJSON `json:"organization"`
			} `json:"from"`
		} `json:"owner"`
		DefaultBranch *struct {
			From string `json:"from"`
		} `json:"default_branch"`
	} `json:"changes"`
}

func (p *repositoryChange) read(e *Event) error {
	switch {
	case e.Kind == RepositoryRenamed:
		was := p.Changes.Repository.Name.From
		e.From = e.Repository.Owner.Login + "/" + was
		return checkRepository(was)
	case e.Kind == RepositoryTransferred:
		was := p.Changes.Owner.From.Organization
		if was == nil {
			was = p.Changes.Owner.From.User
		}
		if was == nil {
			return missing("changes.owner.from")
		}
		e.From = was.Login + "/" + e.Repository.Name
		return checkOwner("owner before", was.Login)
	case e.Action == "edited" && p.Changes.DefaultBranch == nil:
		e.ignore("the default branch is the same")
	}
	return nil
}

// maxRepositories bounds a list: in 25 MB there is room for eight million empty ones.
const maxRepositories = 100_000

type repositoryList []*Repository

// UnmarshalJSON checks one after the other, so that a list costs what it is worth.
func (l *repositoryList) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		if t == nil && err == nil {
			return nil // null
		}
		return errors.New("a list of repositories is not a list")
	}
	for d.More() {
		if len(*l) == maxRepositories {
			return fmt.Errorf("a list has more than %d repositories", maxRepositories)
		}
		var p repositoryJSON
		if err := d.Decode(&p); err != nil {
			return fmt.Errorf("a list of repositories: %v", inWords(err))
		}
		r, err := p.repository()
		if err != nil {
			return err
		}
		*l = append(*l, r)
	}
	return nil
}

func missing(what string) error { return fmt.Errorf("it has no %s", what) }
