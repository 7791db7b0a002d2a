"""The shape of an image, as families and hypermodels are told it."""

Shape = tuple[int, int, int]  # height, width, channels
