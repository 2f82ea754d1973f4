//go:build linux

package vault

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/keys"
)

func TestAPackerSignsFromWithinASandbox(t *testing.T) {
	local := keys.Of("hello", map[string]*keys.Key{"main": testKeys(t)[0]}, at)
	remote := ring(t, start(t, ClientOptions{}))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{sandbox.Bubblewrap, sandbox.Namespaces} {
		if err := sandbox.Try(t.Context(), kind); err != nil {
			t.Logf("%s does not work here: %v", kind, err)
			continue
		}
		conn, theirs, err := Pair()
		if err != nil {
			t.Fatal(err)
		}
		relayed := make(chan error, 1)
		go func() { relayed <- Relay(t.Context(), conn, remote, RelayOptions{}) }()
		var out bytes.Buffer
		err = sandbox.Run(t.Context(), sandbox.Spec{Kind: kind, Exe: exe, Args: []string{"app-packer", "main rsa256", "raw repository"}, Files: []*os.File{theirs},
			Temp: t.TempDir(), Stdout: &out, Stderr: os.Stderr, Limits: sandbox.Limits{Deadline: time.Minute, Processes: 200}})
		theirs.Close()
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if err := <-relayed; err != nil {
			t.Errorf("%s: Relay = %v", kind, err)
		}
		conn.Close()
		want := fmt.Sprintf("main rsa256: %x <nil>\n", mustSign(t, local, "main", formats.RSA256, gzipped))
		if got := out.String(); !strings.HasPrefix(got, want) || !strings.Contains(got, "can't choose the repository") {
			t.Errorf("%s: a packer says %q, want %q", kind, got, want)
		}
	}
}
