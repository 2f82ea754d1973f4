package event

import "fmt"

// pullRequest is of a pull request whose commits are new. Its head's repository is
// null once a fork is deleted.
type pullRequest struct {
	shared
	Number      int `json:"number"`
	PullRequest *struct {
		Head struct {
			SHA  string `json:"sha"`
			Repo *struct {
				ID int64 `json:"id"`
			} `json:"repo"`
		} `json:"head"`
	} `json:"pull_request"`
}

func (p *pullRequest) read(e *Event) error {
	if p.PullRequest == nil {
		return missing("pull_request")
	}
	if p.Number <= 0 {
		return fmt.Errorf("pull request has the number %d; numbers are positive", p.Number)
	}
	head := p.PullRequest.Head
	e.PullRequest, e.Commit = p.Number, head.SHA
	// The repository itself has the commits of forks under this name.
	e.Ref = fmt.Sprintf("refs/pull/%d/head", p.Number)
	e.Fork = head.Repo == nil || head.Repo.ID != e.Repository.ID
	return checkCommit(e.Commit)
}
