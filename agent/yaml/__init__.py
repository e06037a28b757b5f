"""Bytes to trees, trees to bytes, and a changed tree put into the text that it came from.

Two dialects are read: manifests as kubectl does (go-yaml v2 behind sigs.k8s.io/yaml), the files of SOPS as sops does (go-yaml v3, with
comments, and JSON). `read` has the readers, `write` what writes whole files and pieces of them, `edit` changes a text in place. What all
three speak of stands here: `nodes`, `scalars`, `numbers`, `timestamps`, `limits`, and `matching`, which compares trees. Nothing here
knows what a Kubernetes object or a SOPS file is.
"""
