"""Several agents on one control plane, faults that hand their Applications over, and a judge that reads the API server's audit log."""
