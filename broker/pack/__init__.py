"""The quarterly review pack of one steward's team: one HTML file and one PDF that say the same.

`gather` reads, `outline` says, `html` and `pdf` draw. Nobody is told anything from here, and nothing is decided.
"""
