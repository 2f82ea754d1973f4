package github

import (
	"context"
	"fmt"
)

// PullFiles returns the paths of the files that a pull request changes, adds or
// removes, and the former paths of those it renames. GitHub lists 3,000 at most.
func (c *Client) PullFiles(ctx context.Context, owner, repo string, number int) ([]string, error) {
	type file struct {
		Name   string `json:"filename"`
		Former string `json:"previous_filename"`
	}
	q := request{what: fmt.Sprintf("%s/%s: files of pull request %d", owner, repo, number), path: escape("repos", owner, repo, "pulls", fmt.Sprint(number), "files"), needs: "pull_requests: read"}
	in, err := list[file](ctx, c.as, q)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, f := range in {
		all = append(all, f.Name)
		if f.Former != "" {
			all = append(all, f.Former)
		}
	}
	return all, nil
}
