"""Which system may say what: the ownership map, read, checked and compiled.

Pure: text in, map out. Nothing here opens a file, reads a clock or talks to a network (I5, I7).
"""
