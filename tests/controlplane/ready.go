package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// probeUser is who asks whether an API server is ready. The audit policy drops its requests.
const probeUser = "controlplane-probe"

const (
	probeInterval = 25 * time.Millisecond
	probeTimeout  = 5 * time.Second
)

// apiReady is what must be there before the controller manager is started.
var apiReady = []string{"/readyz"}

// allReady is what tests may rely on. The service account is the controller manager's work, and without it a Pod in `default` is refused.
var allReady = []string{
	"/readyz",
	"/api/v1/namespaces/kube-system",
	"/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication",
	"/api/v1/namespaces/default/serviceaccounts/default",
}

// A probe asks one API server whether things are there.
type probe struct {
	client *http.Client
	server string
}

func newProbe(l layout, server string) (probe, error) {
	ca, err := loadAuthority(l, clusterCA)
	if err != nil {
		return probe{}, err
	}
	client, err := ca.issueClient(probeUser, []string{mastersGroup})
	if err != nil {
		return probe{}, err
	}
	certificate, err := tls.X509KeyPair(client.cert, client.key)
	if err != nil {
		return probe{}, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	transport := &http.Transport{
		Proxy:           nil, // whatever the environment says: it is on this machine
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: roots, MinVersion: tls.VersionTLS13},
	}
	return probe{&http.Client{Transport: transport, Timeout: probeTimeout}, server}, nil
}

// wait returns once every path has been answered with 200. It gives up when the context ends or one of the children has.
func (p probe) wait(ctx context.Context, paths []string, children ...*child) error {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		missing := p.ask(ctx, paths[0])
		if missing == nil {
			if paths = paths[1:]; len(paths) == 0 {
				return nil
			}
			continue
		}
		for _, c := range children {
			select {
			case <-c.done:
				return c.ended()
			default:
			}
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return children[len(children)-1].failure(fmt.Sprintf("is not ready in time (%v)", missing))
			}
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (p probe) ask(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.server+path, nil)
	if err != nil {
		return err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return nil
}
