package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// layout names every file in a control plane's directory. Nothing is kept anywhere else.
type layout struct {
	dir string // absolute: the children run in it, and its paths are printed for other programs
}

func newLayout(dir string) (layout, error) {
	dir, err := filepath.Abs(dir)
	return layout{dir}, err
}

func (l layout) path(name string) string { return filepath.Join(l.dir, name) }

func (l layout) settings() string    { return l.path("settings.json") }
func (l layout) pid() string         { return l.path("pid") }
func (l layout) etcdData() string    { return l.path("etcd") }
func (l layout) kubeconfig() string  { return l.path("kubeconfig") }
func (l layout) auditLog() string    { return l.path("audit.log") }
func (l layout) auditPolicy() string { return l.path("audit-policy.yaml") }

func (l layout) log(program string) string      { return l.path(program + ".log") }
func (l layout) childPid(program string) string { return l.path(program + ".pid") }

func (l layout) controllerManagerKubeconfig() string { return l.path("controller-manager.kubeconfig") }

// pki is where certificates and keys are: NAME.crt and NAME.key.
func (l layout) pki(file string) string { return filepath.Join(l.dir, "pki", file) }

// settings are the choices of a control plane's first start. They are recorded once that start has succeeded and stand from then on:
// kubeconfigs, proxies and certificates that others hold stay good however often it is stopped and started.
type settings struct {
	Name           string `json:"name"`
	ServiceCIDR    string `json:"serviceCIDR"`
	KubeconfigUser string `json:"kubeconfigUser"`
	Ports          ports  `json:"ports"`
}

func (s settings) server() string { return localURL("https", s.Ports.APIServer) }

func localURL(scheme string, port int) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, port) }

// errNeverStarted is what readSettings returns for a directory whose first start is still to come.
var errNeverStarted = errors.New("no control plane was ever started in this directory")

func readSettings(l layout) (settings, error) {
	var s settings
	data, err := os.ReadFile(l.settings())
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("%s: %w", l.dir, errNeverStarted)
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s: %w", l.settings(), err)
	}
	return s, nil
}

func (s settings) write(l layout) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	// Renamed into place: settings that are there at all are whole.
	unfinished := l.settings() + ".tmp"
	if err := os.WriteFile(unfinished, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, l.settings())
}
