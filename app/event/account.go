package event

import "strings"

// accountJSON is a user, an organization, a bot or an enterprise.
type accountJSON struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

// account checks it; what says whose it is, for errors.
func (a *accountJSON) account(what string) (Account, error) {
	if err := checkID(what, a.ID); err != nil {
		return Account{}, err
	}
	// Apps act as "name[bot]".
	if err := checkOwner(what, strings.TrimSuffix(a.Login, "[bot]")); err != nil {
		return Account{}, err
	}
	v := Account{ID: a.ID, Login: a.Login}
	switch a.Type {
	case "User", "Organization", "Bot":
		v.Type = a.Type
	}
	return v, nil
}

// authorization is github_app_authorization: the sender is who revoked it.
type authorization struct{ shared }

func (p *authorization) read(e *Event) error { return checkID("sender", e.Sender.ID) }

type ping struct{ shared }

func (*ping) read(*Event) error { return nil }
