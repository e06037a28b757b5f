"""Writes what is made from the models of `agent.api`: CRD, install manifests, JSON Schemas and reference pages."""
