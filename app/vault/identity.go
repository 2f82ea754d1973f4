package vault

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

// identity is one line of an identity file.
type identity struct {
	key *age.X25519Identity
	id  [8]byte // as blobs name it
	mac []byte  // key of the HMAC in its blobs
}

func newIdentity(key *age.X25519Identity) (identity, error) {
	sum := sha256.Sum256([]byte(key.Recipient().String()))
	i := identity{key: key}
	copy(i.id[:], sum[:])
	var err error
	i.mac, err = hkdf.Key(sha256.New, []byte(key.String()), nil, "distropack vault binding v1", sha256.Size)
	return i, err
}

// maxIdentityFile bounds an identity file: an identity is 75 bytes.
const maxIdentityFile = 64 << 10

// readIdentities reads an identity file, and makes it where it is missing. Two
// processes that make it at once end with the same file.
func readIdentities(name string) ([]identity, error) {
	b, err := readPrivate(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeIdentity(name); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("identity file %s: %w", name, err)
		}
		b, err = readPrivate(name)
	}
	if err != nil {
		return nil, fmt.Errorf("identity file %s: %w", name, err)
	}
	var all []identity
	for n, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := age.ParseX25519Identity(line)
		if err != nil {
			// age's own error may quote the line.
			return nil, fmt.Errorf("identity file %s: line %d is no X25519 identity of age; age-keygen makes one", name, n+1)
		}
		i, err := newIdentity(key)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("identity file %s holds no identity: put the file back from a backup; removing it makes a new one, which opens nothing that was sealed before", name)
	}
	return all, nil
}

// readPrivate reads a file that nobody else may read.
func readPrivate(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkPrivate(st); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxIdentityFile+1))
	if err == nil && len(b) > maxIdentityFile {
		err = fmt.Errorf("it is longer than %d bytes", maxIdentityFile)
	}
	return b, err
}

func generate() ([]byte, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "# recipient: %s\n%s\n", key.Recipient(), key), nil
}

// makeIdentity writes a new identity file. It fails with fs.ErrExist where there
// is one.
func makeIdentity(name string) error {
	b, err := generate()
	if err != nil {
		return err
	}
	b = append([]byte("# DistroPack's identity: without this file nothing sealed can be opened. Keep a copy elsewhere than the database's.\n"), b...)
	return replaceFile(name, b, os.Link) // Link never replaces
}

// Rotate puts a new identity first into an identity file: it seals from then on,
// the older ones still open. Processes that have the file open see it when they
// start again; Reseal what there is, then Retire. It must not run twice at once.
func Rotate(file string) error {
	if _, err := readIdentities(file); err != nil {
		return err
	}
	old, err := readPrivate(file)
	if err != nil {
		return fmt.Errorf("identity file %s: %w", file, err)
	}
	b, err := generate()
	if err != nil {
		return err
	}
	if err := replaceFile(file, append(b, old...), os.Rename); err != nil {
		return fmt.Errorf("identity file %s: %w", file, err)
	}
	return nil
}

// Retire removes all identities but the first: what was not sealed again can't be
// opened after that.
func Retire(file string) error {
	all, err := readIdentities(file)
	if err != nil {
		return err
	}
	b := fmt.Appendf(nil, "# recipient: %s\n%s\n", all[0].key.Recipient(), all[0].key)
	if err := replaceFile(file, b, os.Rename); err != nil {
		return fmt.Errorf("identity file %s: %w", file, err)
	}
	return nil
}

// replaceFile writes a file of mode 0600 beside name and has put bring it there.
func replaceFile(name string, b []byte, put func(from, to string) error) (err error) {
	temp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+rand.Text())
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	_, err = io.Copy(f, bytes.NewReader(b))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := put(temp, name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	// A folder can't be synced everywhere; the file itself was.
	dir.Sync()
	return dir.Close()
}
