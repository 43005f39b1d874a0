// Command controlplane runs real Kubernetes control planes, without containers, for the end-to-end tests: etcd, kube-apiserver and
// kube-controller-manager, all compiled into this one binary.
//
// There is no kubelet: CronJobs create Jobs and Jobs create Pods, but no Pod runs. A test decides how a run ends by writing the Pod's
// status.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() {
	// The children are this same binary under another name (see child.go), so that `ps` tells them apart.
	switch filepath.Base(os.Args[0]) {
	case roleAPIServer:
		os.Exit(runAPIServer())
	case roleControllerManager:
		os.Exit(runControllerManager())
	}
	// Everything that is written holds keys or data. It also spares etcd its warnings about a copied data directory.
	syscall.Umask(0o077)
	// Kubernetes' packages register flags of their own for every program that imports them; the commands here have none of those.
	pflag.CommandLine = pflag.NewFlagSet(os.Args[0], pflag.ContinueOnError)
	if err := rootCommand().Execute(); err != nil {
		fmt.Fprintf(os.Stderr, "controlplane: %v\n", err)
		os.Exit(1)
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "controlplane",
		Short: "Real Kubernetes control planes for tests, without containers",
		Long: `controlplane runs real Kubernetes control planes on this machine, without containers: etcd, kube-apiserver and
kube-controller-manager (RBAC, audit log and the cronjob, job and garbage-collector controllers included).

Each control plane lives in one directory. Everything it has is in there, and two control planes share nothing, so any number of them
run side by side. There is no kubelet: Pods are created but never run; write a Pod's status to decide how it ends.`,
		Example: `  controlplane start --dir /tmp/hub &          # one JSON line on stdout when it is ready
  kubectl --kubeconfig /tmp/hub/kubeconfig get namespaces
  controlplane stop --dir /tmp/hub`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.AddCommand(
		startCommand(), stopCommand(),
		copyCommand(), restoreCommand(),
		kubeconfigCommand(), versionCommand(), cronCommand(), oracleCommand(),
	)
	return root
}

// requiredString adds a flag that the command cannot do without.
func requiredString(cmd *cobra.Command, target *string, name, usage string) {
	cmd.Flags().StringVar(target, name, "", usage+" (required)")
	if err := cmd.MarkFlagRequired(name); err != nil {
		panic(err) // only for a flag that does not exist, and it was added one line above
	}
}
