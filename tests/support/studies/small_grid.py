"""The experiment file of a grid of two small networks on drawn faces, for commands that train for real."""


def small_grid(protocol: str, *, neurons: int = 16) -> str:
    """Two cells: one stage and two.

    Args:
        protocol: The lines of `[protocol]`.
        neurons: Of the one hidden dense layer.
    """
    return f"""
question = "Are two stages better than one?"
space = "plain_cnn"

[fix]
kernels_1 = 4
kernels_2 = 4
kernel_size = 3
convs_per_stage = 1
head = "average"
neurons = [{neurons}]

[grid]
conv_stages = [1, 2]

[protocol]
{protocol}

[data]
source = "synthetic:train=200,validation=100,test=60"
"""
