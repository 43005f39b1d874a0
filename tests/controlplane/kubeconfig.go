package main

import (
	"os"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// mastersGroup may do everything: RBAC is not even asked.
const mastersGroup = "system:masters"

func kubeconfigCommand() *cobra.Command {
	var dir, out string
	var want kubeconfig
	cmd := &cobra.Command{
		Use:   "kubeconfig --dir DIR --user NAME [--group GROUP ...] --out FILE",
		Short: "Write a kubeconfig for any user of a control plane",
		Long: `Write a kubeconfig with a client certificate for any user and groups, signed by the control plane's own CA. The user need not exist
anywhere: Kubernetes takes the name and the groups from the certificate, and RBAC decides what they may do (at first: nothing).

The control plane must have been started once; it need not run. The file holds the certificates and the key, so it may be moved.

A service account is the user system:serviceaccount:NAMESPACE:NAME in the groups system:serviceaccounts and
system:serviceaccounts:NAMESPACE (system:authenticated is added by the API server).`,
		Example: `  controlplane kubeconfig --dir /tmp/hub --user alice@corp --group platform --out alice.kubeconfig

  # as the service account "agent" of the namespace "segment"
  controlplane kubeconfig --dir /tmp/spoke --user system:serviceaccount:segment:agent \
    --group system:serviceaccounts --group system:serviceaccounts:segment --out agent.kubeconfig

  # through a proxy that a test put in front of the API server
  controlplane kubeconfig --dir /tmp/spoke --user alice --server https://127.0.0.1:7443 --out proxied.kubeconfig`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			l, err := newLayout(dir)
			if err != nil {
				return err
			}
			s, err := readSettings(l)
			if err != nil {
				return err
			}
			if want.server == "" {
				want.server = s.server()
			}
			want.cluster = s.Name
			return want.write(l, out)
		},
	}
	requiredString(cmd, &dir, "dir", "the control plane's directory")
	requiredString(cmd, &want.user, "user", "user name")
	requiredString(cmd, &out, "out", "file to write; one that exists is replaced")
	cmd.Flags().StringArrayVar(&want.groups, "group", nil, "group of the user; may be repeated")
	cmd.Flags().StringVar(&want.server, "server", "", "URL to reach the API server by, say a proxy's (default: the API server's own)")
	return cmd
}

// kubeconfig says who reaches which server.
type kubeconfig struct {
	cluster string
	server  string
	user    string
	groups  []string
}

// write issues the user's certificate and writes the file.
func (k kubeconfig) write(l layout, file string) error {
	ca, err := loadAuthority(l, clusterCA)
	if err != nil {
		return err
	}
	client, err := ca.issueClient(k.user, k.groups)
	if err != nil {
		return err
	}
	caPEM, err := os.ReadFile(l.pki(clusterCA + ".crt"))
	if err != nil {
		return err
	}
	config := api.NewConfig()
	config.Clusters[k.cluster] = &api.Cluster{Server: k.server, CertificateAuthorityData: caPEM}
	config.AuthInfos[k.user] = &api.AuthInfo{ClientCertificateData: client.cert, ClientKeyData: client.key}
	config.Contexts[k.cluster] = &api.Context{Cluster: k.cluster, AuthInfo: k.user, Namespace: "default"}
	config.CurrentContext = k.cluster
	return clientcmd.WriteToFile(*config, file)
}
