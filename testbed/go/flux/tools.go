//go:build tools

// Package tools pins Flux's kustomize-controller, which replaces some of its dependencies: so it has a module of its own.
package tools

import _ "github.com/fluxcd/kustomize-controller"
