package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/component-base/version"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of Kubernetes that this binary embeds",
		Long: `Print the version of Kubernetes that this binary embeds, as its API server reports it under /version.

v0.0.0-master means that the binary was built without build.sh: clients that parse the server's version then fail.`,
		Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), version.Get().GitVersion)
		},
	}
}
