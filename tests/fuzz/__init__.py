"""Bytes that nobody sensible would send, by the million: each is judged, held with its bytes, and harms nobody."""
