"""Exact and near copies of images, within and across splits.

`groups.find_duplicates` is the entry: `near` finds candidates by correlation, `alignment` verifies them at
full size. `turned` finds what was turned, zoomed or shifted far: `keypoints` describes pictures, `matching`
compares them, and `affine` lays one over the other.
"""
