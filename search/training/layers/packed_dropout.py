"""Dropout that draws sixteen bits a value on JAX, where Keras draws as many for four of them.

JAX mixes two words of 32 bits for every value, and keeps 23 bits of them; here each half of a word decides
about one value. The draws are those of the layer's own generator, so that a training repeats to the bit and
resumes where it was. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (2011), for the generator.
"""

from functools import partial
from typing import Any, Final

import keras

from search.training.layers._replacing import layers_of

#: Rates are multiples of one in so many.
_DRAWS: Final = 1 << 16


def pack_masks(network: keras.Model) -> None:
    """Let the dropouts of `network` draw less, where that is the faster way."""
    if keras.backend.backend() != "jax":
        return
    for layer in layers_of(network, keras.layers.Dropout):
        if type(layer) is keras.layers.Dropout and 0 < layer.rate < 1 and layer.noise_shape is None:
            layer.call = partial(_call, layer)


def _call(layer: keras.layers.Dropout, inputs: Any, training: bool = False) -> Any:
    if not training:
        return inputs
    import jax  # Keras's backend, imported already
    from jax.extend.random import threefry_2x32

    numbers = jax.numpy.arange(-(-inputs.size // 2), dtype="uint32")
    words = threefry_2x32(layer.seed_generator.next(), numbers)
    draws = jax.lax.bitcast_convert_type(words, "uint16").ravel()[: inputs.size]
    dropped = min(round(layer.rate * _DRAWS), _DRAWS - 1)
    kept = inputs / (1 - dropped / _DRAWS)
    return jax.numpy.where(draws.reshape(inputs.shape) >= dropped, kept, jax.numpy.zeros_like(inputs))
