package all

import (
	"testing"

	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/publish/publishtest"
)

func TestEveryRepositoryKeepsThePromises(t *testing.T) {
	for _, kind := range Kinds() {
		t.Run(kind.Name, func(t *testing.T) { publishtest.Repo(t, kind, formatsall.Kinds()) })
	}
}
