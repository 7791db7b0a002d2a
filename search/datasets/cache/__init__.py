"""Prepared data on disk.

`cache` stores and finds entries, `checksums` proves their bytes, `prepared.Prepared` opens one, `row_view`
selects rows of a memory map.
"""
