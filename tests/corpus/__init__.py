"""The decision corpus: what should become of a change, written as plain facts for people who are not engineers.

The scenarios are the YAML files of this folder, the maps they stand on lie in `maps`; docs/reference/decision-corpus.md
says how to read them. The modules here read and play them; tests/unit/gate/test_corpus.py is the test.
"""
