package event

// installationJSON is an installation: all of it in events about one, the id alone in
// others.
type installationJSON struct {
	ID      int64 `json:"id"`
	Account *struct {
		accountJSON
		Slug string `json:"slug"` // an enterprise has no login
	} `json:"account"`
	SuspendedAt any `json:"suspended_at"` // a time, or null
}

func (p *installationJSON) installation() (Installation, error) {
	v := Installation{ID: p.ID, Suspended: p.SuspendedAt != nil}
	if err := checkID("installation", p.ID); err != nil {
		return Installation{}, err
	}
	if p.Account == nil {
		return v, nil
	}
	a := p.Account.accountJSON
	if a.Login == "" {
		a.Login = p.Account.Slug
	}
	var err error
	v.Account, err = a.account("account of the installation")
	return v, err
}

// installationChange is of an installation as a whole.
type installationChange struct {
	shared
	Repositories repositoryList `json:"repositories"`
}

func (p *installationChange) read(e *Event) error {
	if e.Installation.Account.ID == 0 {
		return missing("installation.account")
	}
	if e.Kind == InstallationCreated {
		e.Repositories = p.Repositories
	}
	// Which it is by now, the action says: the field may lag.
	e.Installation.Suspended = e.Kind == InstallationSuspended || e.Installation.Suspended && e.Kind != InstallationUnsuspended
	return nil
}

// repositoriesChange is of the repositories that an installation may reach.
type repositoriesChange struct {
	shared
	Added   repositoryList `json:"repositories_added"`
	Removed repositoryList `json:"repositories_removed"`
}

func (p *repositoriesChange) read(e *Event) error {
	e.Repositories = p.Added
	if e.Kind == RepositoriesRemoved {
		e.Repositories = p.Removed
	}
	return nil
}

// targetChange is of the account that has installed the App. Its installation has no
// account.
type targetChange struct {
	shared
	Account *accountJSON `json:"account"`
	Changes struct {
		Login struct {
			From string `json:"from"`
		} `json:"login"`
	} `json:"changes"`
}

func (p *targetChange) read(e *Event) (err error) {
	if p.Account == nil {
		return missing("account")
	}
	if e.Installation.Account, err = p.Account.account("account"); err != nil {
		return err
	}
	e.From = p.Changes.Login.From
	return checkOwner("account before", e.From)
}
