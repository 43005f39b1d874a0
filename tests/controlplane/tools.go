//go:build tools

// The client programs that the tests call. Importing them here pins them in this go.mod, so that one go.sum covers everything the
// tests run and the four programs share the packages that were compiled for the others.

package main

import (
	_ "github.com/fullstorydev/grpcurl/cmd/grpcurl"
	_ "helm.sh/helm/v3/cmd/helm"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
