"""Tests; `make test` runs what pip alone can run."""
