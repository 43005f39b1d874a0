package main

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/pkg/controller/job"
)

const roleControllerManager = "kube-controller-manager"

// controllers are those that what we test depends on. Each one more costs memory and writes.
var controllers = []string{
	"cronjob-controller",
	"job-controller",
	"ttl-after-finished-controller",
	"garbage-collector-controller",
	"namespace-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
	"clusterrole-aggregation-controller",
	"root-ca-certificate-publisher-controller",
}

// runControllerManager is the child's main.
func runControllerManager() int {
	// The job controller waits a second after each change of a Job or Pod, to take several at once. Tests wait for it all the time
	// and change one at a time. Backoffs stay as they are: they are behaviour.
	job.SyncJobBatchPeriod = 50 * time.Millisecond
	return cli.Run(app.NewControllerManagerCommand())
}

func controllerManagerFlags(l layout) []string {
	return []string{
		"--v=0",
		"--profiling=false",
		"--kubeconfig=" + l.controllerManagerKubeconfig(),
		// It serves nothing (metrics, health), and so takes no port.
		flag("secure-port", 0),
		"--controllers=" + strings.Join(controllers, ","),
		"--leader-elect=false",
		// Each controller is a service account of its own: the audit log tells them apart, and RBAC holds for them.
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + l.pki(serviceAccountKey),
		"--root-ca-file=" + l.pki(clusterCA+".crt"),
		// The default of 20 requests a second would make a hundred CronJobs that are due at once wait for seconds.
		flag("kube-api-qps", 500),
		flag("kube-api-burst", 1000),
		flag("concurrent-cron-job-syncs", 10),
		flag("concurrent-job-syncs", 10),
	}
}

func flag(name string, value int) string { return fmt.Sprintf("--%s=%d", name, value) }
