"""Negative controls: gates that are built as one should not, each found out by the judge that finds nothing in ours."""
