package main

import (
	"fmt"
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

// programEtcd names etcd's log. It runs inside the parent process.
const programEtcd = "etcd"

// startEtcd starts the only member of an etcd cluster on the directory's data, or on none.
func startEtcd(l layout, p ports) (*embed.Etcd, error) {
	// etcd allocates two log segments ahead. Its own 64 MB each would make 128 MB per control plane, and of every copy.
	wal.SegmentSizeBytes = 4 << 20

	config := embed.NewConfig()
	config.Name = programEtcd
	config.Dir = l.etcdData()
	config.LogLevel = "warn"
	config.LogOutputs = []string{l.log(programEtcd)}

	client := url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", p.EtcdClient)}
	peer := url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", p.EtcdPeer)}
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)

	// The machine does not lose power in a test, and what a killed process wrote, the kernel has.
	config.UnsafeNoFsync = true
	// The one member need not wait a second for others before it is the leader. Shorter ticks would cost CPU when idle.
	config.TickMs, config.ElectionMs = 50, 250

	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	return etcd, nil
}
