package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Head is what can be said of any payload, used by us or not: enough to file it.
type Head struct {
	Action       string // "" if none, or not a plain word
	Installation int64  // 0: none
	Repository   int64  // 0: none

	owner, name string // "" unless both are well-formed
}

// ReadHead is an error only if the name is not an event's, or the body is not a JSON
// object. Values of another kind than expected count as not there.
func ReadHead(name string, body []byte) (Head, error) {
	if !plainWord(name) {
		return Head{}, fmt.Errorf("event name %s is not one of GitHub's", quote(name))
	}
	var p struct {
		Action       string `json:"action"`
		Installation struct {
			ID int64 `json:"id"`
		} `json:"installation"`
		Repository struct {
			ID    int64  `json:"id"`
			Name  string `json:"name"`
			Owner struct {
				Login string `json:"login"`
			} `json:"owner"`
		} `json:"repository"`
	}
	// What has another type is left out, and the rest is read all the same.
	if broken, _ := object(body, &p); broken != nil {
		return Head{}, fmt.Errorf("%s event: %w", name, broken)
	}
	h := Head{Installation: max(p.Installation.ID, 0), Repository: max(p.Repository.ID, 0)}
	if plainWord(p.Action) {
		h.Action = p.Action
	}
	if checkOwner("", p.Repository.Owner.Login) == nil && checkRepository(p.Repository.Name) == nil {
		h.owner, h.name = p.Repository.Owner.Login, p.Repository.Name
	}
	return h, nil
}

func (h Head) repository() *Repository {
	if h.Repository == 0 {
		return nil
	}
	return &Repository{ID: h.Repository, Owner: Account{Login: h.owner}, Name: h.name}
}

// inWords says what a field should be, without Go's names for it.
func inWords(err error) error {
	var other *json.UnmarshalTypeError
	if !errors.As(err, &other) {
		return err
	}
	want := "an object"
	switch other.Type.Kind() {
	case reflect.String:
		want = "text"
	case reflect.Bool:
		want = "true or false"
	case reflect.Int, reflect.Int64:
		want = "a whole number"
	}
	field := strings.NewReplacer("shared.", "", "accountJSON.", "").Replace(other.Field) // what is embedded has no name in JSON
	return fmt.Errorf("%s is not %s", clip(field), want)
}

// object reads a JSON object into p. It is broken if it is none, or nested deeper than
// encoding/json's 10,000; unfit says that a value has no place in p, where all others
// are by then.
func object(body []byte, p any) (broken, unfit error) {
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return errors.New("the body is not a JSON object"), nil
	}
	err := json.Unmarshal(body, p)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("the body is broken JSON at byte %d: %w", syntax.Offset, err), nil
	}
	return nil, err
}
