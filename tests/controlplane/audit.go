package main

import (
	_ "embed"
	"os"
)

// auditPolicy is a file of its own so that it can be read, and commented, as what it is.
//
//go:embed audit-policy.yaml
var auditPolicy []byte

// writeAuditPolicy is part of every start: a directory that an older build made gets today's policy.
func writeAuditPolicy(l layout) error { return os.WriteFile(l.auditPolicy(), auditPolicy, 0o600) }
