//go:build unix

package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/keys"
)

// pack is a child that has packages signed through file descriptor 3. It prints a
// line for each try.
func pack(tries []string) {
	ring, err := Dial(3)
	if err != nil {
		fmt.Println("dial:", err)
		return
	}
	for _, try := range tries {
		key, scheme, _ := strings.Cut(try, " ")
		if key == "raw" {
			k := ring.(*keyring)
			_, _, err := k.call(context.Background(), raws[scheme], strings.NewReader("x"))
			fmt.Printf("%s: %v\n", try, err)
			continue
		}
		sign, err := ring.Signer(key, formats.Scheme(scheme))
		if err != nil {
			fmt.Printf("%s: no signer: %v\n", try, err)
			continue
		}
		sig, err := sign(context.Background(), bytes.NewReader(gzipped))
		fmt.Printf("%s: %x %v\n", try, sig, err)
	}
}

// raws are requests that Dial never makes.
var raws = map[string]*request{
	"repository": {Op: opSign, Key: "main", Scheme: formats.OpenPGP, Repository: Repository{ID: 8, Installation: 42, At: at}},
	"keys":       {Op: opSign, Key: "main", Scheme: formats.OpenPGP, Keys: []KeyRef{{Key: "main", Binding: Binding{RepositoryScope(8), "main", KindKey}}}},
	"export":     {Op: opExport, Binding: Binding{InstallationScope(42), "main", KindKey}, Passphrase: "correct horse battery"},
	"large":      {Op: opSign, Key: strings.Repeat("x", maxAsk)},
}

// packer runs a child with a relay to ring and returns what it printed.
func packer(t *testing.T, ring pipeline.Keyring, o RelayOptions, tries ...string) []string {
	t.Helper()
	conn, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{"app-packer"}, tries...)...)
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{theirs}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	if err := Relay(t.Context(), conn, ring, o); err != nil {
		t.Errorf("Relay = %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func TestAPackerSignsThroughARelayWhatPackagesNeed(t *testing.T) {
	c := start(t, ClientOptions{})
	remote := ring(t, c)
	local := keys.Of("hello", map[string]*keys.Key{"main": testKeys(t)[0]}, at)
	tries := []string{"main openpgp", "main openpgp-armor", "main rsa256"}
	for i, line := range packer(t, remote, RelayOptions{}, tries...) {
		_, scheme, _ := strings.Cut(tries[i], " ")
		if want := fmt.Sprintf("%s: %x <nil>", tries[i], mustSign(t, local, "main", formats.Scheme(scheme), gzipped)); line != want {
			t.Errorf("a packer has %.200s, want %.200s", line, want)
		}
	}
	want := []string{
		"no package is signed by",     // an index of apt
		"no package is signed by",     // an index of opkg
		`there is no key "also"`,      // not its business
		"can't choose the repository", //
		"can't choose the repository", //
		"can have nothing signed by",  //
		"a frame of",                  //
		`there is no key "site-x"`,    //
	}
	got := packer(t, remote, RelayOptions{}, "main openpgp-clear", "main usign", "also openpgp", "raw repository", "raw keys", "raw export", "raw large", "site-x openpgp")
	for i := range want {
		if i >= len(got) || !strings.Contains(got[i], want[i]) {
			t.Errorf("got %q, want %q", got, want[i])
			break
		}
	}
	// It may see a key and not have it sign.
	got = packer(t, remote, RelayOptions{Names: []string{"main", "also"}}, "also openpgp")
	if !strings.Contains(got[0], `key "also" signs no packages`) {
		t.Errorf("got %q", got)
	}
	got = packer(t, remote, RelayOptions{Most: 1}, "main openpgp", "main openpgp")
	if !strings.HasSuffix(got[0], "<nil>") || !strings.Contains(got[1], "no more are") {
		t.Errorf("got %q", got)
	}
}

func TestARelayEndsWithItsContext(t *testing.T) {
	conn, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer theirs.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- Relay(ctx, conn, nil, RelayOptions{}) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Relay = %v", err)
	}
}
