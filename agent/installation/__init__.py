"""What is installed in a cluster: the manifests in the folder beside this module, and `objects.of`, which fits them to a cluster.

`agent install` prints and applies them; `generate` makes deploy/install.yaml, deploy/kustomize and deploy/chart of them.
"""
