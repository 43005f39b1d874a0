package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// maxAttempts bounds how often a first start looks for other ports. Losing one race is rare already.
const maxAttempts = 5

// launchAny launches with the recorded settings, or, the first time, with new ones.
func launchAny(ctx context.Context, options startOptions, l layout) (*controlPlane, error) {
	recorded, err := readSettings(l)
	if err == nil {
		if err := options.agreeWith(recorded); err != nil {
			return nil, err
		}
		if err := recorded.Ports.waitUntilFree(ctx); err != nil {
			return nil, err
		}
		return launch(ctx, options.timeout, l, recorded)
	}
	if !errors.Is(err, errNeverStarted) {
		return nil, err
	}

	s, serviceCIDR, err := options.firstSettings(l)
	if err != nil {
		return nil, err
	}
	if err := makePKI(l, serviceCIDR); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		if s.Ports, err = freePorts(); err != nil {
			return nil, err
		}
		if err := writeKubeconfigs(l, s); err != nil {
			return nil, err
		}
		running, err := launch(ctx, options.timeout, l, s)
		if err == nil {
			return running, s.write(l)
		}
		// All that we started has ended by now: a port that is not free was somebody else's.
		if attempt == maxAttempts || s.Ports.checkFree() == nil {
			return nil, err
		}
	}
}

// writeKubeconfigs is for a first start only: later, somebody may be reading the administrator's at any moment.
func writeKubeconfigs(l layout, s settings) error {
	admin := kubeconfig{cluster: s.Name, server: s.server(), user: s.KubeconfigUser, groups: []string{mastersGroup}}
	if err := admin.write(l, l.kubeconfig()); err != nil {
		return err
	}
	manager := kubeconfig{cluster: s.Name, server: s.server(), user: "system:kube-controller-manager"}
	return manager.write(l, l.controllerManagerKubeconfig())
}

// controlPlane is one that runs.
type controlPlane struct {
	settings settings
	etcd     *embed.Etcd
	children []*child
}

// launch starts the three programs and waits until they are ready. After an error nothing is left running.
func launch(ctx context.Context, timeout time.Duration, l layout, s settings) (_ *controlPlane, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	if err := writeAuditPolicy(l); err != nil {
		return nil, err
	}
	probe, err := newProbe(l, s.server())
	if err != nil {
		return nil, err
	}

	c := &controlPlane{settings: s}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if c.etcd, err = startEtcd(l, s.Ports); err != nil {
		return nil, err
	}
	apiServer, err := startChild(l, roleAPIServer, apiServerFlags(l, s))
	if err != nil {
		return nil, err
	}
	c.children = append(c.children, apiServer)
	// The controller manager gives up when it finds no healthy API server within 10 seconds, which a busy machine may need.
	if err := probe.wait(ctx, apiReady, c.children...); err != nil {
		return nil, err
	}
	controllerManager, err := startChild(l, roleControllerManager, controllerManagerFlags(l))
	if err != nil {
		return nil, err
	}
	c.children = append(c.children, controllerManager)
	if err := probe.wait(ctx, allReady, c.children...); err != nil {
		return nil, err
	}
	return c, nil
}

// wait returns nil when the context ends, and an error when one of the programs does.
func (c *controlPlane) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-c.children[0].done:
		return c.children[0].ended()
	case <-c.children[1].done:
		return c.children[1].ended()
	case err := <-c.etcd.Err():
		return fmt.Errorf("etcd: %w", err)
	}
}

// stop ends the programs, etcd last: the others need it while they end.
func (c *controlPlane) stop() {
	stopAll(c.children...)
	if c.etcd != nil {
		c.etcd.Close()
	}
}
