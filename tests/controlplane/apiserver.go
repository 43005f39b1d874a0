package main

import (
	_ "time/tzdata" // a CronJob may name a time zone, and the machine may have no zone files

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // as in Kubernetes' own main
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const roleAPIServer = "kube-apiserver"

// issuer is what kubeadm uses, and so the audience that a token has when nobody asked for another.
const issuer = "https://kubernetes.default.svc"

// runAPIServer is the child's main.
func runAPIServer() int { return cli.Run(app.NewAPIServerCommand()) }

func apiServerFlags(l layout, s settings) []string {
	return []string{
		"--v=0",
		"--profiling=false",
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		flag("secure-port", s.Ports.APIServer),
		"--etcd-servers=" + localURL("http", s.Ports.EtcdClient),

		"--tls-cert-file=" + l.pki(apiServerPair+".crt"),
		"--tls-private-key-file=" + l.pki(apiServerPair+".key"),
		"--client-ca-file=" + l.pki(clusterCA+".crt"),
		"--authorization-mode=RBAC",

		// Tokens for other audiences (TokenRequest) are issued too and pass a TokenReview that names theirs, but they are no way
		// into this API server: as in a real cluster.
		"--service-account-issuer=" + issuer,
		"--api-audiences=" + issuer + "," + issuer + ".cluster.local",
		"--service-account-key-file=" + l.pki(serviceAccountPublic),
		"--service-account-signing-key-file=" + l.pki(serviceAccountKey),

		// With these the ConfigMap extension-apiserver-authentication has all its keys.
		"--requestheader-client-ca-file=" + l.pki(frontProxyCA+".crt"),
		"--requestheader-allowed-names=" + frontProxyClient,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + l.pki(frontProxyClient+".crt"),
		"--proxy-client-key-file=" + l.pki(frontProxyClient+".key"),

		"--service-cluster-ip-range=" + s.ServiceCIDR,
		// Nothing keeps the endpoints of the Service `kubernetes`: an endpoint may not be a loopback address.
		"--endpoint-reconciler-type=none",
		// As in nearly every real cluster. Off, a test that our agent refuses privileged Pods would pass for the wrong reason.
		"--allow-privileged=true",
		"--event-ttl=1h",

		"--audit-policy-file=" + l.auditPolicy(),
		"--audit-log-path=" + l.auditLog(),
		// The line is in the file before the response is sent, so a test reads it right after.
		"--audit-log-mode=blocking",
		// In MB, so 1 TiB: the log of a test is one file.
		flag("audit-log-maxsize", 1<<20),
	}
}
