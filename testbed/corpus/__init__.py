"""Any checkout, unit by unit: what renders, what applies, and why not: `python -m testbed.corpus DIR`."""
