//go:build unix

package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

var databases atomic.Int64

// running is the server.
type running struct {
	dir   string         // of its socket
	alive io.WriteCloser // ends it when it closes; the garbage collector closes what nothing refers to
}

// Postgres returns the url of a new, empty database, which is dropped after the test.
func Postgres(t testing.TB) string {
	t.Helper()
	s, err := server()
	if errors.Is(err, fs.ErrNotExist) {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test%d", databases.Add(1))
	admin(t, s.dir, "CREATE DATABASE "+name)
	// Stores that a test leaves open must not keep their database.
	t.Cleanup(func() { admin(t, s.dir, "DROP DATABASE "+name+" WITH (FORCE)") })
	return address(s.dir, name)
}

func admin(t testing.TB, dir, command string) {
	t.Helper()
	db, err := sql.Open("pgx", address(dir, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(command); err != nil {
		t.Fatalf("%s: %v", command, err)
	}
}

func address(dir, database string) string {
	return "postgres:///" + database + "?host=" + dir + "&user=distropack"
}

// server starts Postgres. The error is fs.ErrNotExist if it is not installed.
var server = sync.OnceValues(func() (*running, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "pg") // a socket has to have a short path
	if err != nil {
		return nil, err
	}
	who, err := owner(dir)
	if err != nil {
		return nil, err
	}
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin", "LC_ALL=C"}
		// Of a session of its own: a ^C in the terminal is for the test, not for the server.
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setsid: true}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := run(filepath.Join(bin, "initdb"), "-D", data, "-U", "distropack", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// The shell reads from a pipe that only this process holds open, so it learns of
	// every end of the process, SIGKILL too, and then takes the server down. No
	// test kills Postgres, so it need not wait for the disk.
	cmd := run("/bin/sh", "-c", `postgres -D data -k "$1" -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=300 -c shared_buffers=64MB >log 2>&1 &
		read -r _
		kill -QUIT $! && wait $!
		cd / && rm -rf "$1"`, "sh", dir)
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	db, err := sql.Open("pgx", address(dir, "postgres"))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithDeadline(context.Background(), end)
		err := db.PingContext(ctx)
		cancel()
		if err == nil {
			return &running{dir, alive}, nil
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			return nil, fmt.Errorf("postgres: %w\n%s", err, log)
		}
	}
})

// binaries finds the newest Postgres where Debian puts it, or the one in PATH.
func binaries() (string, error) {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(found[len(found)-1]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", fmt.Errorf("Postgres is not installed: no /usr/lib/postgresql/*/bin/initdb: %w", fs.ErrNotExist)
}

func version(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

// owner returns who runs the server: Postgres refuses to be root. The directory
// becomes theirs.
func owner(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, uid, gid)
	}
	return nil, errors.New("postgres can't run as root, and there is neither a user postgres nor nobody")
}
