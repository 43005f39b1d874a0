package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// A control plane runs exactly while somebody holds the lock on its pid file. The kernel takes the lock back however the holder ends,
// so unlike a bare process id it can neither be left over nor mean a stranger.

// errRunning is what takeLock returns while the control plane runs.
var errRunning = errors.New("the control plane runs; stop it first")

// takeLock makes the caller the only one who works on the directory, until it closes the file or ends. The directory must exist.
func takeLock(l layout) (*os.File, error) {
	file, err := os.OpenFile(l.pid(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, nil
	}
	file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%s: %w", l.dir, errRunning)
	}
	return nil, fmt.Errorf("lock %s: %w", l.pid(), err)
}

// recordPid tells `stop` whom to signal. The lock must be held.
func recordPid(lock *os.File) error {
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err := lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// lockHolder is the process id of a control plane that runs. It is 0 between its taking the lock and its writing the id.
func lockHolder(l layout) (int, error) {
	data, err := os.ReadFile(l.pid())
	text := strings.TrimSpace(string(data))
	if err != nil || text == "" {
		return 0, err
	}
	return strconv.Atoi(text)
}
