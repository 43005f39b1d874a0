#!/usr/bin/env bash
# Builds the programs that the end-to-end tests run: controlplane (etcd, kube-apiserver and kube-controller-manager in one binary),
# and kubectl, helm and grpcurl at the versions of go.mod. Needs Go and nothing else.
#
#   tests/controlplane/build.sh OUTDIR
#
# The first build compiles Kubernetes: 7 to 15 minutes on 2 cores. Go's build cache makes a later one a matter of seconds, and
# a program that is up to date is not even written again, so calling this at the start of every test run is fine.
set -euo pipefail

if [ $# -ne 1 ]; then
  echo "usage: $0 OUTDIR" >&2
  exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"

# What go.mod and go.sum say is what gets built: a build never edits them. Without cgo no C compiler is needed and the programs run
# on any Linux.
# No commit is stamped in: each one would link everything anew.
export GOFLAGS="${GOFLAGS:-} -mod=readonly -buildvcs=false" CGO_ENABLED=0

# Two test runs that start at once wait for each other rather than write the same files.
if command -v flock >/dev/null 2>&1; then
  exec 9>"$out/.lock"
  flock 9
fi

module_version() { go list -m -f '{{.Version}}' "$1"; }
kubernetes=$(module_version k8s.io/kubernetes)
helm=$(module_version helm.sh/helm/v3)
grpcurl=$(module_version github.com/fullstorydev/grpcurl)
IFS=. read -r major minor _ <<<"${kubernetes#v}"

# Kubernetes' version is known to its own release scripts only. Unset it is v0.0.0-master, and clients that parse the server's version
# fail. Helm likewise: unset, `helm template` renders for Kubernetes 1.20.
ldflags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  ldflags+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=$major -X $package.gitMinor=$minor"
done
for package in helm.sh/helm/v3/pkg/chartutil helm.sh/helm/v3/pkg/lint/rules; do
  ldflags+=" -X $package.k8sVersionMajor=$major -X $package.k8sVersionMinor=$minor"
done
ldflags+=" -X helm.sh/helm/v3/internal/version.version=$helm -X main.version=$grpcurl"

# `go build -v` names each package that it compiles: a name is counted, anything else (a download, an error) is passed on.
progress() {
  local line compiled=0
  while IFS= read -r line; do
    if [[ $line =~ ^[A-Za-z0-9._~/-]+$ ]]; then
      compiled=$((compiled + 1))
      if ((compiled % 100 == 0)); then echo "controlplane: $compiled packages compiled in ${SECONDS}s" >&2; fi
    else
      echo "$line" >&2
    fi
  done
  echo "controlplane: done in ${SECONDS}s, $compiled packages compiled" >&2
}

echo "controlplane: building Kubernetes $kubernetes, helm $helm and grpcurl $grpcurl into $out" >&2
go build -v -trimpath -ldflags "$ldflags" -o "$out/" \
  . k8s.io/kubernetes/cmd/kubectl helm.sh/helm/v3/cmd/helm github.com/fullstorydev/grpcurl/cmd/grpcurl 2>&1 | progress
