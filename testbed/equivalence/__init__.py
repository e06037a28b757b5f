"""Whether charts over sealed values give what Helm gives over plain ones: charts, pipelines of functions, and what is compared."""
