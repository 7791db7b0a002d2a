"""From image files to uint8 pixels.

`decode` reads many files, `image_file` reads one, `pixel_range` decides which numbers are black and white,
`unreadable` counts the images that cannot be used.
"""
