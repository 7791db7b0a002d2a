"""From a source of images to prepared splits on disk.

`prepare.prepare` is the entry: `readers` list a source, `images` reads pixels, `duplicates` finds copies,
`splits` carves the splits, `cache` keeps them. `audit` describes data sets for people.
"""
