//go:build linux

package sandbox

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	Main()
	if len(os.Args) > 2 && os.Args[1] == "hostile" {
		hostile[os.Args[2]](os.Args[3:])
		syscall.Exit(0)
	}
	os.Exit(m.Run())
}

// hostile are programs that try what they must not. They print what they could do.
var hostile = map[string]func(args []string){
	"nothing": func([]string) {},
	"exit":    func([]string) { syscall.Exit(7) },
	"hello": func(args []string) {
		in, _ := io.ReadAll(os.Stdin)
		fmt.Printf("args %q in %q", args, in)
		fmt.Fprint(os.Stderr, "on stderr")
	},
	"files": func([]string) {
		a, _ := io.ReadAll(os.NewFile(3, "a"))
		fmt.Printf("%s", a)
		os.NewFile(4, "b").WriteString("to the fourth")
		for fd := 5; fd < 64; fd++ {
			var st syscall.Stat_t
			if syscall.Fstat(fd, &st) == nil && st.Mode&syscall.S_IFMT != 0 {
				link, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
				if !strings.HasPrefix(link, "anon_inode:") { // Go's own
					fmt.Printf(" open %d %s", fd, link)
				}
			}
		}
	},
	"environment": func([]string) {
		fmt.Printf("env %q\n", os.Environ())
		for _, pid := range []string{"1", "self", fmt.Sprint(os.Getppid())} {
			b, err := os.ReadFile("/proc/" + pid + "/environ")
			fmt.Printf("%s: %q %v\n", pid, b, err != nil)
		}
		all, _ := os.ReadDir("/proc")
		n := 0
		for _, e := range all {
			if strings.Trim(e.Name(), "0123456789") == "" {
				n++
				b, _ := os.ReadFile("/proc/" + e.Name() + "/environ")
				fmt.Printf("process %s %q\n", e.Name(), b)
			}
		}
		fmt.Printf("processes %d\n", n)
	},
	"read": func(args []string) {
		for _, name := range args {
			b, err := os.ReadFile(name)
			if err == nil {
				fmt.Printf("READ %s: %d bytes\n", name, len(b))
			}
			if list, err := os.ReadDir(name); err == nil {
				fmt.Printf("LISTED %s: %d\n", name, len(list))
			}
			// Ways out: through process 1, its root, a link.
			for _, way := range []string{"/proc/1/root", "/proc/self/root", "/proc/1/cwd", "/.old"} {
				if _, err := os.ReadFile(way + name); err == nil {
					fmt.Printf("READ %s%s\n", way, name)
				}
			}
			os.Remove("/tmp/link")
			if os.Symlink(name, "/tmp/link") == nil {
				if _, err := os.ReadFile("/tmp/link"); err == nil {
					fmt.Printf("READ by link %s\n", name)
				}
			}
		}
	},
	"write": func(args []string) {
		for _, name := range args {
			if err := os.WriteFile(name, []byte("x"), 0o600); err == nil {
				fmt.Printf("WROTE %s\n", name)
			}
			if f, err := os.OpenFile(name, os.O_WRONLY, 0); err == nil {
				f.Close()
				fmt.Printf("OPENED %s\n", name)
			}
		}
	},
	"rights": func([]string) {
		b, _ := os.ReadFile("/proc/self/status")
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, "Cap") && !strings.HasSuffix(strings.TrimSpace(line), "0000000000000000") && !strings.HasPrefix(line, "CapBnd") {
				fmt.Printf("HAS %s", line)
			}
			if strings.HasPrefix(line, "NoNewPrivs:") && !strings.HasSuffix(strings.TrimSpace(line), "1") {
				fmt.Printf("CAN GET %s", line)
			}
			if strings.HasPrefix(line, "Seccomp:") && !strings.HasSuffix(strings.TrimSpace(line), "2") {
				fmt.Printf("UNFILTERED %s", line)
			}
		}
		did := func(what string, err error) {
			if err == nil {
				fmt.Printf("DID %s\n", what)
			}
		}
		did("unshare user", unix.Unshare(unix.CLONE_NEWUSER))
		did("unshare mount", unix.Unshare(unix.CLONE_NEWNS))
		did("mount", unix.Mount("tmpfs", "/tmp", "tmpfs", 0, ""))
		did("remount", unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, ""))
		did("unmount", unix.Unmount("/proc", unix.MNT_DETACH))
		did("chroot", unix.Chroot("/tmp"))
		did("host name", unix.Sethostname([]byte("x")))
		did("ptrace", unix.PtraceAttach(1))
		_, err := unix.SysvShmGet(1, 1<<20, unix.IPC_CREAT|0o600)
		did("shared memory", err)
		cmd := exec.Command("/proc/self/exe", "hostile", "nothing")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
		did("clone user", cmd.Run())
		syscall.Kill(1, syscall.SIGKILL) // says nil and does nothing: we are still here
		host, _ := os.Hostname()
		fmt.Printf("host %s uid %d\n", host, os.Getuid())
	},
	"network": func(args []string) {
		for _, address := range args {
			if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
				c.Close()
				fmt.Printf("CONNECTED %s\n", address)
			}
		}
		if fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err == nil {
			fmt.Println("SOCKET")
			unix.Close(fd)
		}
		b, _ := os.ReadFile("/proc/self/net/dev")
		for line := range strings.Lines(string(b)) {
			if name, _, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name != "lo" {
				fmt.Printf("INTERFACE %s\n", name)
			}
		}
		if len(args) > 1 {
			if c, err := net.Dial("unix", args[1]); err == nil {
				c.Close()
				fmt.Println("CONNECTED abstract")
			}
		}
	},
	"fill": func(args []string) { fill(args[0], 0) },
	"one":  func(args []string) { fill(args[0], 1) },
	"hide": func(args []string) { // what has no name any more
		b := make([]byte, 1<<20)
		for i := 0; ; i++ {
			f, err := os.Create(filepath.Join(args[0], "x"))
			if err != nil {
				fmt.Println(err)
				syscall.Exit(3)
			}
			os.Remove(f.Name())
			for range 8 {
				f.Write(b)
			}
			held = append(held, f)
		}
	},
	"names": func(args []string) { // files without content
		for i := 0; ; i++ {
			if err := os.WriteFile(filepath.Join(args[0], fmt.Sprint(i)), nil, 0o600); err != nil {
				syscall.Exit(3)
			}
		}
	},
	"closed": func(args []string) { // a folder the watcher may not read
		dir := filepath.Join(args[0], "d")
		os.Mkdir(dir, 0o700)
		f, _ := os.Create(filepath.Join(dir, "f"))
		os.Chmod(dir, 0)
		for {
			f.Write(make([]byte, 1<<20))
		}
	},
	"deep": func(args []string) { // a path longer than the system reads
		os.Chdir(args[0])
		name := strings.Repeat("d", 200)
		for range 40 {
			if os.Mkdir(name, 0o700) != nil || os.Chdir(name) != nil {
				syscall.Exit(3)
			}
		}
		f, _ := os.Create("f")
		for {
			f.Write(make([]byte, 1<<20))
		}
	},
	"forks": func([]string) {
		for {
			cmd := exec.Command("/proc/self/exe", "hostile", "forks")
			if cmd.Start() != nil {
				time.Sleep(time.Millisecond)
			}
		}
	},
	"sleep": func([]string) { time.Sleep(time.Hour) },
	"leave": func(args []string) { // one that goes on in a session of its own
		leave(args[0])
	},
	"leaves": func(args []string) {
		leave(args[0])
		time.Sleep(time.Hour)
	},
	"spin": func([]string) {
		for n := 1; n > 0; n ^= 2 {
		}
	},
	"spins": func([]string) {
		exec.Command("/proc/self/exe", "hostile", "spin").Start()
		time.Sleep(time.Hour)
	},
	"print": func([]string) {
		for range 64 {
			os.Stdout.Write(make([]byte, 1<<16))
		}
	},
	"symlink":  func(args []string) { os.Symlink("/etc/passwd", filepath.Join(args[0], "hello.deb")) },
	"pipe":     func(args []string) { unix.Mkfifo(filepath.Join(args[0], "hello.deb"), 0o600) },
	"hardlink": func(args []string) { os.WriteFile(args[0]+"/a", nil, 0o600); os.Link(args[0]+"/a", args[0]+"/b") },
	"linkout": func(args []string) {
		if err := os.Link(args[1], filepath.Join(args[0], "hello.deb")); err == nil {
			fmt.Println("LINKED")
		}
	},
	"setuid": func(args []string) {
		os.WriteFile(args[0]+"/a", nil, 0o700)
		os.Chmod(args[0]+"/a", 0o755|os.ModeSetuid)
	},
	"good": func(args []string) {
		os.MkdirAll(args[0]+"/sub", 0o755)
		os.WriteFile(args[0]+"/sub/a.deb", []byte("package"), 0o644)
		os.WriteFile("/tmp/scratch", nil, 0o600)
	},
}

var held []*os.File

func leave(name string) {
	for range 40 { // so many that their end takes a moment
		cmd := exec.Command("/proc/self/exe", "hostile", "sleep", name)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			fmt.Println(err)
			syscall.Exit(3)
		}
	}
}

func fill(dir string, files int) {
	b := make([]byte, 1<<20)
	for i := 0; files == 0 || i < files; i++ {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			fmt.Println(err)
			syscall.Exit(3)
		}
		for range 4 {
			if _, err := f.Write(b); err != nil {
				fmt.Println(err)
				syscall.Exit(3)
			}
		}
		f.Close()
	}
}
