package main

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distropack/distropack/app/sandbox"
	"github.com/distropack/distropack/publish/githubtest"
)

// appServer is a real distropack app.
type appServer struct {
	t   *testing.T
	cmd *exec.Cmd
	url string

	out *bufio.Reader
	log *bytes.Buffer // whole when it has ended
}

// startApp starts one on dir with a clean environment, and waits until it serves.
func startApp(t *testing.T, dir string, env []string, args ...string) *appServer {
	t.Helper()
	s := &appServer{t: t, log: new(bytes.Buffer)}
	s.cmd = exec.Command(program(t), append([]string{"app", "--insecure", "--listen", "127.0.0.1:0", "--dir", dir}, args...)...)
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			s.cmd.Process.Kill()
			s.cmd.Wait()
		}
	})
	s.out = bufio.NewReader(out)
	line, err := s.out.ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "DistroPack is at ")
	if err != nil || !ok {
		s.cmd.Wait()
		t.Fatalf("it printed %q, %v\n%s", line, err, s.log)
	}
	s.url = address
	if code, text := s.get("/healthz"); code != 200 || text != "ok\n" {
		t.Fatalf("healthz: %d %q", code, text)
	}
	return s
}

// setup reads the link, which is printed where the server is not set up.
func (s *appServer) setup() string {
	s.t.Helper()
	s.out.ReadString('\n')
	link, err := s.out.ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(link)
}

func (s *appServer) get(path string) (int, string) {
	s.t.Helper()
	c := &http.Client{Timeout: 20 * time.Second}
	resp, err := c.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// end sends SIGTERM, after which it has to end by itself, with 0 and its children.
func (s *appServer) end() {
	s.t.Helper()
	children := childrenOf(s.t, s.cmd.Process.Pid)
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("it ended with %v\n%s", err, s.log)
	}
	if took := time.Since(began); took > 5*time.Second {
		s.t.Errorf("it ended after %v", took)
	}
	for _, pid := range children {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
			s.t.Errorf("its child %d still runs", pid)
		}
	}
}

// childrenOf are the processes that a process has started.
func childrenOf(t *testing.T, parent int) (pids []int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tasks {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that has ended
		}
		for _, f := range strings.Fields(string(b)) {
			pid, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// memory is what a process has in memory, in bytes: all of it, and without what it
// shares with others or could read again.
func memory(t *testing.T, pid int) (resident, own int64) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil { // the signer lets nobody see
		if b, err = os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "Rss:", "VmRSS:":
			resident = n << 10
		case "Anonymous:", "RssAnon:":
			own = n << 10
		}
	}
	return resident, own
}

func needLinux(t *testing.T) {
	t.Helper()
	if _, err := sandbox.Probe(t.Context()); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// On an empty folder it prints a link that works once, stops on SIGTERM, and knows
// everything again when it comes back. A second one on the folder is refused in words.
func TestAppOnAnEmptyFolder(t *testing.T) {
	needLinux(t)
	dir := filepath.Join(t.TempDir(), "data")
	s := startApp(t, dir, nil)
	link := s.setup()
	if !strings.HasPrefix(link, s.url+"/setup?token=") {
		t.Fatalf("the link is %q", link)
	}
	if code, text := s.get(strings.TrimPrefix(link, s.url)); code != 403 && code != 200 {
		t.Errorf("the link leads to %d\n%s", code, text)
	}
	if code, text := s.get("/readyz"); code != 200 || text != "ready\n" {
		t.Errorf("readyz: %d %q", code, text)
	}
	second := exec.Command(program(t), "app", "--insecure", "--listen", "127.0.0.1:0", "--dir", dir)
	out, err := second.CombinedOutput()
	if want := fmt.Sprintf("distropack: another server uses %s already (process %d): stop it first", dir, s.cmd.Process.Pid); second.ProcessState.ExitCode() != exitUsage || !strings.Contains(string(out), want) {
		t.Errorf("a second server: %v\n%swant %s", err, out, want)
	}
	identities := func() string {
		a, err := os.ReadFile(filepath.Join(dir, "server.identity"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "signer.identity"))
		if err != nil {
			t.Fatal(err)
		}
		return string(a) + string(b)
	}
	before := identities()
	s.end()
	if strings.Contains(s.log.String(), strings.TrimPrefix(link, s.url+"/setup?token=")) {
		t.Errorf("the link is in the log:\n%s", s.log)
	}
	s = startApp(t, dir, nil)
	if again := s.setup(); again == link || !strings.HasPrefix(again, s.url+"/setup?token=") {
		t.Errorf("after a restart the link is %q", again)
	}
	if identities() != before {
		t.Error("the identities changed")
	}
	s.end()
}

// With an App of its own, from flags and files: what was filed stays over a restart,
// nobody sees a secret, and it needs little memory.
func TestAppFromFlags(t *testing.T) {
	needLinux(t)
	hub := githubtest.New(t, githubtest.Options{})
	double := hub.NewApp("Distro Pack")
	double.Install("acme", hub.Repo("acme", "hello"))
	dir, secrets := filepath.Join(t.TempDir(), "data"), t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(secrets, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	hidden := []string{double.WebhookSecret, double.ClientSecret, "PRIVATE KEY", "AGE-SECRET-KEY"}
	webhookFile := write("webhook", double.WebhookSecret+"\n")
	env := []string{"DISTROPACK_APP_CLIENT_SECRET=" + double.ClientSecret, fmt.Sprintf("DISTROPACK_APP_APP_ID=%d", double.ID)}
	args := []string{
		"--github-api", strings.TrimSuffix(hub.URL, "/"), "--client-id", double.ClientID, "--webhook-secret-file", webhookFile, "--admin", "1", "--log-level", "debug", "--log", "json",
		"--app-key-file", write("key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(double.Key)}))),
	}
	s := startApp(t, dir, env, args...)
	double.Hook(s.url + "/hook")
	double.Ping()
	if err := hub.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := double.Deliveries()
	ping := all[len(all)-1]
	if ping.StatusCode != http.StatusAccepted {
		t.Errorf("a webhook: %d", ping.StatusCode)
	}
	q, err := double.Signed(s.url+"/hook", ping)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("with a wrong signature: %s", resp.Status)
	}
	payload := write("ping.json", string(ping.Body))
	out, err := exec.Command(program(t), "app", "replay", payload, "--event", "ping", "--to", s.url, "--webhook-secret-file", webhookFile, "--dir", dir).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"state":"waiting"`) {
		t.Errorf("replay: %v\n%s", err, out)
	}

	children := childrenOf(t, s.cmd.Process.Pid)
	if len(children) != 1 {
		t.Errorf("its children are %d, want the signer alone", children)
	}
	for _, pid := range append(children, s.cmd.Process.Pid) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || len(line) == 0 {
			t.Fatalf("arguments of %d: %q, %v", pid, line, err)
		}
		for _, secret := range hidden {
			if bytes.Contains(line, []byte(secret)) {
				t.Errorf("%q is among the arguments %q", secret, line)
			}
		}
	}
	for _, pid := range children {
		if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err == nil && len(env) > 0 {
			t.Errorf("the signer has the environment %q", env)
		}
	}
	// Idle: what it does once a second and less often has been done.
	if code, _ := s.get("/"); code != 200 {
		t.Errorf("the first page: %d", code)
	}
	resident, own := memory(t, s.cmd.Process.Pid)
	if resident > 80e6 {
		t.Errorf("the server has %d MB in memory, more than 80", resident/1e6)
	}
	t.Logf("server: %.1f MB resident, %.1f MB its own", float64(resident)/1e6, float64(own)/1e6)
	for _, pid := range children {
		resident, own := memory(t, pid)
		t.Logf("signer: %.1f MB resident, %.1f MB its own", float64(resident)/1e6, float64(own)/1e6)
	}
	// Who ends a service signals all of its processes; the signer waits for the server.
	for _, pid := range children {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "SigIgn:")
		mask, err := strconv.ParseUint(strings.Fields(rest)[0], 16, 64)
		if want := uint64(1<<(syscall.SIGTERM-1) | 1<<(syscall.SIGINT-1) | 1<<(syscall.SIGHUP-1)); err != nil || mask&want != want {
			t.Errorf("the signer ignores the signals %x, %v; want %x among them", mask, err, want)
		}
	}
	s.end()
	for _, secret := range hidden {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	for _, want := range []string{`"msg":"serving"`, `"msg":"webhook answered"`, `"msg":"stopped"`} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("%s is not in the log:\n%s", want, s.log)
		}
	}

	s = startApp(t, dir, env, args...)
	if q, err = double.Signed(s.url+"/hook", ping); err != nil {
		t.Fatal(err)
	}
	if resp, err = http.DefaultClient.Do(q); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || !strings.Contains(string(b), `"known"`) {
		t.Errorf("after a restart it does not know the webhook: %s, %v\n%s", resp.Status, err, b)
	}
	s.end()
}

// The signer and the packer are for the server to start; by hand they end at once.
func TestChildrenByHand(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"app-signer"}, exitUsage, ""},
		{[]string{"app-signer", filepath.Join(t.TempDir(), "identity")}, exitFailed, "DistroPack starts this command itself"},
		{[]string{"app-packer"}, exitFailed, "the request can't be read"},
	} {
		cmd := exec.Command(program(t), c.args...)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("%q ended with %d\n%s", c.args, cmd.ProcessState.ExitCode(), out)
		}
	}
}
