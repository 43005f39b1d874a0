package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func stopCommand() *cobra.Command {
	var dir string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "stop --dir DIR",
		Short: "Stop the control plane that runs in a directory, and wait until it is gone",
		Long: `Stop the control plane that runs in a directory, and wait until it is gone. Its data stays, and "start" goes on with it.

Succeeds too when none runs, or when the directory is not there.`,
		Example: "  controlplane stop --dir /tmp/spoke-1",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			l, err := newLayout(dir)
			if err != nil {
				return err
			}
			return stop(l, timeout)
		},
	}
	requiredString(cmd, &dir, "dir", "the control plane's directory")
	cmd.Flags().DurationVar(&timeout, "timeout", 20*time.Second, "how long it may take to end by itself before it is killed")
	return cmd
}

func stop(l layout, timeout time.Duration) error {
	if gone, err := isGone(l); gone || err != nil {
		return err
	}
	if err := signalHolder(l, syscall.SIGTERM); err != nil {
		return err
	}
	if gone, err := waitUntilGone(l, timeout); gone || err != nil {
		return err
	}
	if err := signalHolder(l, syscall.SIGKILL); err != nil {
		return err
	}
	const killed = 10 * time.Second // for the kernel to take back a few hundred megabytes
	if gone, err := waitUntilGone(l, killed); gone || err != nil {
		return err
	}
	return fmt.Errorf("%s: still there %v after SIGKILL", l.dir, killed)
}

func signalHolder(l layout, signal syscall.Signal) error {
	pid, err := lockHolder(l)
	if err != nil || pid == 0 {
		return err // 0: it has only just taken the lock; the next signal will find it
	}
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("%v to process %d: %w", signal, pid, err)
	}
	return nil
}

// waitUntilGone reports whether it was gone in time.
func waitUntilGone(l layout, timeout time.Duration) (bool, error) {
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if gone, err := isGone(l); gone || err != nil {
			return gone, err
		}
	}
	return false, nil
}

func isGone(l layout) (bool, error) {
	if _, err := os.Stat(l.pid()); errors.Is(err, fs.ErrNotExist) {
		return true, nil // rather than make the file
	}
	lock, err := takeLock(l)
	if errors.Is(err, errRunning) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, lock.Close()
}
