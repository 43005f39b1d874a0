package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func copyCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "copy --from DIR --to PATH",
		Short: "Copy the data of a stopped control plane",
		Long: `Copy what a stopped control plane has in etcd: all objects, but no keys, ports or logs. "restore" puts it back, as a restored
backup would. PATH must not exist yet. Refused while the control plane runs: the copy would be of no one moment.`,
		Example: `  controlplane stop --dir /tmp/hub
  controlplane copy --from /tmp/hub --to /tmp/hub-on-monday
  controlplane start --dir /tmp/hub &`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			l, err := newLayout(from)
			if err != nil {
				return err
			}
			return copyData(l, to)
		},
	}
	requiredString(cmd, &from, "from", "the control plane's directory")
	requiredString(cmd, &to, "to", "directory to make for the copy")
	return cmd
}

func restoreCommand() *cobra.Command {
	var dir, from string
	cmd := &cobra.Command{
		Use:   "restore --dir DIR --from PATH",
		Short: "Put a copy of the data back into a stopped control plane",
		Long: `Replace what a stopped control plane has in etcd by a copy that "copy" made. Ports, keys and logs stay as they are; the copy stays too.
Refused while the control plane runs.

In another directory, or one that is made by this, the copy becomes a clone: a second control plane with the same objects and uids, but
with ports and keys of its own.`,
		Example: `  controlplane stop --dir /tmp/hub
  controlplane restore --dir /tmp/hub --from /tmp/hub-on-monday
  controlplane start --dir /tmp/hub &`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			l, err := newLayout(dir)
			if err != nil {
				return err
			}
			return restoreData(l, from)
		},
	}
	requiredString(cmd, &dir, "dir", "the control plane's directory; made if it is not there")
	requiredString(cmd, &from, "from", "a copy that \"copy\" made")
	return cmd
}

func copyData(l layout, to string) error {
	if err := checkData(l.etcdData()); err != nil {
		return err
	}
	lock, err := takeLock(l)
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: is there already", to)
	}
	return copyWhole(l.etcdData(), to)
}

func restoreData(l layout, from string) error {
	if err := checkData(from); err != nil {
		return err
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	lock, err := takeLock(l)
	if err != nil {
		return err
	}
	defer lock.Close()

	replaced := l.etcdData() + ".replaced"
	if err := os.RemoveAll(replaced); err != nil {
		return err
	}
	if err := os.Rename(l.etcdData(), replaced); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := copyWhole(from, l.etcdData()); err != nil {
		return err
	}
	return os.RemoveAll(replaced)
}

// checkData refuses what etcd would take for an empty directory and start anew in.
func checkData(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "member", "snap", "db")); err != nil {
		return fmt.Errorf("%s: no etcd data: %w", dir, err)
	}
	return nil
}

// copyWhole makes `to` appear only once it is complete.
func copyWhole(from, to string) error {
	unfinished := to + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(unfinished), 0o700); err != nil {
		return err
	}
	if err := os.CopyFS(unfinished, os.DirFS(from)); err != nil {
		return err
	}
	return os.Rename(unfinished, to)
}
