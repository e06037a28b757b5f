"""Trees to bytes: `yaml` and `json` as sops writes files, `render` manifests for people, `fragments` what fits into a file of others."""
