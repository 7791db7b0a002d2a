"""Exact and near copies of images, within and across splits.

`groups.find_duplicates` is the entry: `near` finds candidates by correlation, `alignment` verifies them at
full size.
"""
