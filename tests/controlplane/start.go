package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// Defaults of a first start.
const (
	defaultServiceCIDR    = "10.96.0.0/24"
	defaultKubeconfigUser = "kubernetes-admin"
)

type startOptions struct {
	dir            string
	name           string
	serviceCIDR    string
	kubeconfigUser string
	timeout        time.Duration
	untilStdinEnds bool
}

func startCommand() *cobra.Command {
	var options startOptions
	cmd := &cobra.Command{
		Use:   "start --dir DIR",
		Short: "Run a control plane in the foreground until SIGTERM or SIGINT",
		Long: `Run a control plane in the foreground until SIGTERM or SIGINT.

The first start in a directory makes the keys, picks free ports on 127.0.0.1 and records both; what --name, --service-cidr and
--kubeconfig-user say is recorded too. Every later start uses the same ports, keys and data, so kubeconfigs stay good.

When it is ready (/readyz, the namespace kube-system, the ConfigMap extension-apiserver-authentication and the service account
default/default are there), one JSON line goes to stdout and nothing else ever does:

  {"name":"hub","dir":"/tmp/hub","server":"https://127.0.0.1:23456","kubeconfig":"/tmp/hub/kubeconfig",
   "auditLog":"/tmp/hub/audit.log","pid":4711}

The kubeconfig's user is in the group system:masters. If the start fails, or one of the programs ends unasked later, the exit status
is 1 and the last lines of that program's log are on stderr.

Files in DIR:
  kubeconfig                    the administrator's
  audit.log                     one JSON object per line, written before the response is sent; audit-policy.yaml says what
  etcd.log, kube-apiserver.log, kube-controller-manager.log
  pid                           this process; kube-apiserver.pid and kube-controller-manager.pid: its children, which die with it
  settings.json                 name, ports, and what else was decided at the first start
  etcd/, pki/                   data; certificates and keys

No kubelet runs the Pods. A test that wants their logs plays one: a Node whose status has the address 127.0.0.1 and a port
(status.daemonEndpoints.kubeletEndpoint.Port), a Pod with that spec.nodeName, and an HTTPS server that answers
GET /containerLogs/NAMESPACE/POD/CONTAINER with any certificate. Beware that such a Pod stays Terminating until it is deleted with a
grace period of 0; one without a node goes at once.

A second SIGTERM or SIGINT ends everything at once.`,
		Example: `  controlplane start --dir /tmp/spoke-1 --name spoke-1

  # stop when this shell ends, however it ends
  sleep infinity | controlplane start --dir /tmp/spoke-1 --until-stdin-ends`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return start(options, os.Stdin, cmd.OutOrStdout()) },
	}
	requiredString(cmd, &options.dir, "dir", "directory that holds all of the control plane; made if it is not there")
	cmd.Flags().StringVar(&options.name, "name", "", "name of the control plane and of its context in kubeconfigs (default: DIR's last part)")
	cmd.Flags().StringVar(&options.serviceCIDR, "service-cidr", "", "addresses of Services (default: "+defaultServiceCIDR+")")
	cmd.Flags().StringVar(&options.kubeconfigUser, "kubeconfig-user", "", "user of DIR/kubeconfig (default: "+defaultKubeconfigUser+")")
	cmd.Flags().DurationVar(&options.timeout, "timeout", 2*time.Minute, "how long the start may take; 4s is usual, a busy machine takes longer")
	cmd.Flags().BoolVar(&options.untilStdinEnds, "until-stdin-ends", false,
		"also stop when stdin ends: give it a pipe, and it cannot outlive a test that was killed")
	return cmd
}

// ready is the line on stdout. The end-to-end tests parse it.
type ready struct {
	Name       string `json:"name"`
	Dir        string `json:"dir"`
	Server     string `json:"server"`
	Kubeconfig string `json:"kubeconfig"`
	AuditLog   string `json:"auditLog"`
	Pid        int    `json:"pid"`
}

func start(options startOptions, stdin io.Reader, stdout io.Writer) error {
	// See startChild. Never unlocked: this goroutine runs as long as the process does.
	runtime.LockOSThread()

	l, err := newLayout(options.dir)
	if err != nil {
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
	if err := recordPid(lock); err != nil {
		return err
	}

	ctx, stopWaiting := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stopWaiting()
	if options.untilStdinEnds {
		go func() {
			_, _ = io.Copy(io.Discard, stdin) // however it ends, it has
			stopWaiting()
		}()
	}
	go func() {
		<-ctx.Done()
		stopWaiting() // from now on a signal has its default effect: it ends the process
	}()

	running, err := launchAny(ctx, options, l)
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it was ready
		}
		return err
	}
	defer running.stop()
	s := running.settings
	line := ready{s.Name, l.dir, s.server(), l.kubeconfig(), l.auditLog(), os.Getpid()}
	if err := json.NewEncoder(stdout).Encode(line); err != nil {
		return err
	}
	return running.wait(ctx)
}

func (o startOptions) firstSettings(l layout) (settings, netip.Prefix, error) {
	s := settings{Name: o.name, ServiceCIDR: o.serviceCIDR, KubeconfigUser: o.kubeconfigUser}
	if s.Name == "" {
		s.Name = filepath.Base(l.dir)
	}
	if s.ServiceCIDR == "" {
		s.ServiceCIDR = defaultServiceCIDR
	}
	if s.KubeconfigUser == "" {
		s.KubeconfigUser = defaultKubeconfigUser
	}
	serviceCIDR, err := netip.ParsePrefix(s.ServiceCIDR)
	if err != nil {
		return s, serviceCIDR, fmt.Errorf("--service-cidr: %w", err)
	}
	return s, serviceCIDR, nil
}

// agreeWith refuses a flag that says otherwise than the first start did, rather than ignore it.
func (o startOptions) agreeWith(recorded settings) error {
	for _, row := range []struct{ flag, given, recorded string }{
		{"name", o.name, recorded.Name},
		{"service-cidr", o.serviceCIDR, recorded.ServiceCIDR},
		{"kubeconfig-user", o.kubeconfigUser, recorded.KubeconfigUser},
	} {
		if row.given != "" && row.given != row.recorded {
			return fmt.Errorf("--%s is %q, but the first start in this directory decided on %q", row.flag, row.given, row.recorded)
		}
	}
	return nil
}
