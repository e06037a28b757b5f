"""Bytes to trees.

`yaml` reads the files of SOPS: by `lines` where they are plain enough, else by `builder` from libyaml's `events` (with `comments`,
`pending` and `colons`). `json` reads them in JSON. These are `reader.Reader`s. `manifests` reads what kubectl reads, a stream of documents
or of JSON objects (`json_stream`). `spans` says where nodes stand in a text, and `recording` finds it.
"""
