package config

import (
	"testing"

	"gopkg.in/yaml.v3"
)

type panics struct{}

func (panics) Read([]byte) (int, error) { panic("a bug") }

// Strangers' files are read: no bug of yaml.v3 may end the program.
func TestAPanicOfTheParserIsAnError(t *testing.T) {
	var n yaml.Node
	if err := decodeYAML(yaml.NewDecoder(panics{}), &n); err == nil || err.Error() != "this is not YAML" {
		t.Errorf("got %v", err)
	}
}
