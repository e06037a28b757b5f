//go:build tools

// Package tools pins the kwok controller that the testbed builds.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"
