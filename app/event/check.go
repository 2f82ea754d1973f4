package event

// checkRun is of one of our own check runs: GitHub asks the App that made it alone.
type checkRun struct {
	shared
	CheckRun *struct {
		ID         int64  `json:"id"`
		HeadSHA    string `json:"head_sha"`
		ExternalID string `json:"external_id"`
	} `json:"check_run"`
	RequestedAction *struct {
		Identifier string `json:"identifier"`
	} `json:"requested_action"`
}

func (p *checkRun) read(e *Event) error {
	if p.CheckRun == nil {
		return missing("check_run")
	}
	if err := checkID("check run", p.CheckRun.ID); err != nil {
		return err
	}
	if err := checkText("external id", p.CheckRun.ExternalID, maxExternalID); err != nil {
		return err
	}
	e.CheckRun, e.ExternalID, e.Commit = p.CheckRun.ID, p.CheckRun.ExternalID, p.CheckRun.HeadSHA
	if e.Kind == ActionRequested {
		if p.RequestedAction == nil || p.RequestedAction.Identifier == "" {
			return missing("requested_action.identifier")
		}
		e.RequestedAction = p.RequestedAction.Identifier
		if err := checkText("requested action", e.RequestedAction, maxIdentifier); err != nil {
			return err
		}
	}
	return checkCommit(e.Commit)
}

// checkSuite asks for all check runs of a commit again.
type checkSuite struct {
	shared
	CheckSuite *struct {
		ID      int64  `json:"id"`
		HeadSHA string `json:"head_sha"`
	} `json:"check_suite"`
}

func (p *checkSuite) read(e *Event) error {
	if p.CheckSuite == nil {
		return missing("check_suite")
	}
	if err := checkID("check suite", p.CheckSuite.ID); err != nil {
		return err
	}
	e.CheckSuite, e.Commit = p.CheckSuite.ID, p.CheckSuite.HeadSHA
	return checkCommit(e.Commit)
}
