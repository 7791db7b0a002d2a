"""From a source of images to prepared splits on disk.

`prepare.prepare` is the entry: `readers` list a source, `decode` reads its images, `duplicates` finds
copies, `splits` carves the splits, `cache` keeps them and `prepared.Prepared` opens them. `audit` describes
data sets for people.
"""
