package event

// release is of a release or a draft. Its target_commitish is where a tag would be
// made that is not there yet, so it is not read.
type release struct {
	shared
	Release *struct {
		ID         int64  `json:"id"`
		TagName    string `json:"tag_name"`
		Draft      bool   `json:"draft"`
		Prerelease bool   `json:"prerelease"`
	} `json:"release"`
}

func (p *release) read(e *Event) error {
	if p.Release == nil {
		return missing("release")
	}
	// A release that was unpublished is a draft by now.
	if p.Release.Draft && e.Action != "unpublished" {
		e.ignore("the release is a draft")
		return nil
	}
	if err := checkID("release", p.Release.ID); err != nil {
		return err
	}
	e.Release, e.Prerelease = p.Release.ID, p.Release.Prerelease
	return e.setTag(p.Release.TagName)
}
