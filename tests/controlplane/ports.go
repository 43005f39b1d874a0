package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"time"
)

// ports are where a control plane listens, all on 127.0.0.1. The controller manager serves nothing.
type ports struct {
	APIServer  int `json:"apiServer"`
	EtcdClient int `json:"etcdClient"`
	EtcdPeer   int `json:"etcdPeer"` // one member has no peers, but etcd insists
}

func (p ports) all() []int { return []int{p.APIServer, p.EtcdClient, p.EtcdPeer} }

// Ports are chosen below Linux' ephemeral ports (from 32768 on, where "any free port" comes from): while a control plane is stopped,
// its port must not become the near end of somebody's outgoing connection, or it could not start again on the same one.
const (
	firstPort = 20000
	portCount = 12000
)

// freePorts picks ports at random, so that control planes that start side by side seldom want the same.
func freePorts() (ports, error) {
	var found []int
	for range 200 {
		port := firstPort + rand.IntN(portCount)
		if slices.Contains(found, port) || !isFree(port) {
			continue
		}
		if found = append(found, port); len(found) == 3 {
			return ports{APIServer: found[0], EtcdClient: found[1], EtcdPeer: found[2]}, nil
		}
	}
	return ports{}, errors.New("no free ports on 127.0.0.1")
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// checkFree names the first of the ports that somebody else listens on.
func (p ports) checkFree() error {
	for _, port := range p.all() {
		if !isFree(port) {
			return fmt.Errorf("port %d on 127.0.0.1 is taken by another program", port)
		}
	}
	return nil
}

// waitUntilFree is for a control plane that starts again: the children of a killed one may hold its ports for another moment.
func (p ports) waitUntilFree(ctx context.Context) error {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := p.checkFree()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
