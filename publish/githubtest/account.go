package githubtest

// account is a person, an organization or a bot.
type account struct {
	id    int64
	login string
	kind  string // "User", "Organization" or "Bot"
}

// firstAccount is far from other ids, so that one taken for another is not found.
const firstAccount = 70001

// account returns the account of a login, which is there from its first mention.
func (s *Server) account(login string) *account {
	for _, a := range s.accounts {
		if a.login == login {
			return a
		}
	}
	a := &account{id: firstAccount + int64(len(s.accounts)), login: login, kind: "User"}
	s.accounts = append(s.accounts, a)
	return a
}

// Organization makes an account an organization instead of a person's.
func (s *Server) Organization(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account(login).kind = "Organization"
}

// user is an account as answers show it.
func (s *Server) user(login string) map[string]any {
	a := s.account(login)
	return s.fill("simple-user", map[string]any{"login": login, "id": a.id, "node_id": node("U", login), "type": a.kind, "gravatar_id": "", "url": s.URL + "users/" + login, "html_url": s.web + "/" + login, "avatar_url": s.web + "/avatar/" + login})
}
