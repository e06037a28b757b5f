"""Bytes to trees and back: one parser (libyaml's events), two dialects, one emitter.

`manifests` reads what kubectl reads (go-yaml v2 behind sigs.k8s.io/yaml), `sealed` what sops reads (go-yaml v3, with comments),
`json` what sops reads of JSON; `emit` writes what sops writes, `splice` changes a text in place, `render` writes manifests for
people. Nothing here knows what a Kubernetes object or a SOPS file is.
"""
