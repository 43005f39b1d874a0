package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A child is kube-apiserver or kube-controller-manager: this binary once more, in a process of its own, because those programs keep
// their flags and feature gates in global variables and would overwrite each other's.
type child struct {
	role     string
	cmd      *exec.Cmd
	log      string
	logStart int64         // length of the log before this start: the log goes on over restarts
	done     chan struct{} // closed when the process has ended; then err says how
	err      error
}

// stopGrace is how long a child may take to end by itself. All that matters is in etcd, so not waiting longer loses nothing.
const stopGrace = 3 * time.Second

// startChild must be called on a goroutine that is locked to its thread and stays as long as the process does: the kernel kills the
// child when the *thread* that started it ends.
func startChild(l layout, role string, flags []string) (*child, error) {
	log, err := os.OpenFile(l.log(role), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}

	// Not os.Executable: the file may have been replaced by a newer build meanwhile.
	cmd := exec.Command("/proc/self/exe", flags...)
	cmd.Args[0] = role
	cmd.Dir = l.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// However the parent ends, the children end with it.
		Pdeathsig: syscall.SIGKILL,
		// Ctrl-C in a terminal reaches the parent only, which stops the children in order.
		Setpgid: true,
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", role, err)
	}
	c := &child{role: role, cmd: cmd, log: l.log(role), logStart: before, done: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	// For tests that pause or kill one of the two.
	pid := strconv.Itoa(cmd.Process.Pid) + "\n"
	if err := os.WriteFile(l.childPid(role), []byte(pid), 0o600); err != nil {
		stopAll(c)
		return nil, err
	}
	return c, nil
}

// stopAll asks the children to end, and makes those end that do not. Which of them ends first does not matter: what the controller
// manager leaves half done, it goes on with at the next start.
func stopAll(children ...*child) {
	for _, c := range children {
		_ = c.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended
	}
	grace := time.After(stopGrace)
	for _, c := range children {
		select {
		case <-c.done:
			continue
		case <-grace:
		}
		for _, late := range children {
			_ = late.cmd.Process.Kill()
		}
		<-c.done
	}
}

// ended is the error for a child that ended unasked; it has, so c.done is closed.
func (c *child) ended() error {
	how := "exit status 0"
	if c.err != nil {
		how = c.err.Error()
	}
	return c.failure("ended unasked: " + how)
}

// failure is an error with what the child last said.
func (c *child) failure(what string) error {
	return fmt.Errorf("%s %s; the last lines of %s:\n%s", c.role, what, c.log, lastLines(c.log, c.logStart))
}

// lastLines returns at most 20 lines, and 16 KiB, of what was written to a log since its length was `from`.
func lastLines(path string, from int64) string {
	const maxLines, maxBytes = 20, 16 << 10
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil {
		from = max(from, info.Size()-maxBytes)
	}
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return err.Error()
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-maxLines):], "\n")
}
