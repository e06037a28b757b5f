"""What users write and read: `Application`, its status, and the operator's settings.

Each is declared once, as frozen pydantic models with a description on every field. From these `python -m generate`
makes the CRD, the JSON Schemas and docs/reference; `make check` fails where they are stale. Import the modules: `application`,
`status`, `operator`, `names`. Everything here is pure.
"""
