"""One file for each kind of source. The first whose `accepts` says yes reads it.

A reader has `accepts(source)`, `read(source)` and, where a source is not one file, `stamp(source)`. Nothing
else lists them.
"""
