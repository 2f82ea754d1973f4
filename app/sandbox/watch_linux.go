package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// look is how often is looked. A disk takes some 50 MB meanwhile.
	look = 25 * time.Millisecond
	// share is what part of the time looking may take: one of so many.
	share = 10
)

// watch looks at what the program takes until done, and stops it when that is too
// much. first gives the process that all others descend from.
func (r *runner) watch(first <-chan int, done <-chan struct{}) {
	var root int
	select {
	case root = <-first:
	case <-done:
		return
	}
	pause := look
	for {
		select {
		case <-done:
			return
		case <-time.After(pause):
		}
		began := time.Now()
		if e := r.over(root); e != nil {
			r.stop(e)
			return
		}
		pause = max(look, share*time.Since(began))
	}
}

// over says what there is too much of; nil if nothing.
func (r *runner) over(root int) *Error {
	l := &r.Limits
	took, e := r.taken(root)
	if e != nil {
		return e
	}
	switch {
	case l.Memory > 0 && took.memory > l.Memory:
		return failed(Memory, "it took %d bytes of memory; %d are allowed", took.memory, l.Memory)
	case l.CPU > 0 && took.cpu > l.CPU:
		return failed(CPU, "it took %s of CPU time; %s are allowed", took.cpu.Round(time.Second/10), l.CPU)
	}
	sum := took.unlinked
	for _, dir := range r.watched() {
		if l.OutBytes > 0 {
			n, err := used(dir, l.OutBytes)
			if err != nil {
				return failed(Out, "what it wrote can't be counted: %v", bare(err))
			}
			if sum += n; sum > l.OutBytes {
				return failed(Out, "it wrote more than %d bytes", l.OutBytes)
			}
		}
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil {
			if free := int64(st.Bavail) * st.Bsize; free < l.Reserve {
				return failed(Disk, "the disk is full: %d bytes are free, and %d stay free", free, l.Reserve)
			}
		}
	}
	return nil
}

// bare is an error without the path, which may be of any length.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// taken is what the processes of a run take.
type taken struct {
	tasks    int64 // processes and threads
	memory   int64
	cpu      time.Duration
	unlinked int64 // bytes of files that have no name and are open
}

type file struct{ dev, ino uint64 }

// taken walks the processes from root down. It stops where there are too many: in
// a fork bomb they would never end.
func (r *runner) taken(root int) (*taken, *Error) {
	t := &taken{}
	seen := map[int]bool{root: true}
	files := make(map[file]bool)
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		pid := queue[0]
		if pid != root || r.Kind == None { // process 1 is the sandbox's own
			t.add(pid)
		}
		if r.Limits.Processes > 0 && max(t.tasks, int64(len(seen)-1)) > r.Limits.Processes {
			return nil, failed(Processes, "it started more than %d processes and threads", r.Limits.Processes)
		}
		if r.Limits.OutBytes > 0 {
			t.open(pid, files)
		}
		for _, child := range children(pid) {
			if !seen[child] {
				seen[child] = true
				queue = append(queue, child)
			}
		}
	}
	return t, nil
}

// tick is the unit of CPU times in /proc, which is the same everywhere.
const tick = time.Second / 100

// add counts one process. One that has ended counts nothing.
func (t *taken) add(pid int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return
	}
	// The name, in parentheses, may hold anything.
	_, rest, ok := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	f := strings.Fields(rest)
	if !ok || len(f) < 22 {
		return
	}
	number := func(i int) int64 { n, _ := strconv.ParseInt(f[i], 10, 64); return n } // proc_pid_stat(5), less 3
	t.tasks += number(17)
	t.cpu += time.Duration(number(11)+number(12)+number(13)+number(14)) * tick

	// Pages of files that are mapped, such as the program, are no memory of its own.
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if name != "RssAnon" && name != "RssShmem" {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64); err == nil {
			t.memory += n << 10
		}
	}
}

// open counts the files that have no name any more.
func (t *taken) open(pid int, seen map[file]bool) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range list {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || st.Nlink > 0 || seen[file{uint64(st.Dev), st.Ino}] {
			continue
		}
		seen[file{uint64(st.Dev), st.Ino}] = true
		t.unlinked += int64(st.Blocks) * 512
	}
}

// children lists what a process started and what it was left with.
func children(pid int) []int {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	var all []int
	for _, t := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		if err != nil {
			continue
		}
		for _, f := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
}
