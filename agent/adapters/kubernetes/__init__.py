"""A Kubernetes apiserver behind `reconcile.ports`, through one session of our own.

`config` says which server and as whom, `session` sends and retries, `wire` is the only place where the bytes of a
request or an answer exist, `errors` turns refusals into AgentErrors without their text, `cluster` and `records` are the
ports.
"""
