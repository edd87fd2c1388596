"""Every method in every variant: its options at their default and at another value."""

from __future__ import annotations

from visualcnn_tf import methods

_OTHER = {"relu": False, "max_channels": 3, "residual": 0.2, "heads": "max"}

#: The default of each method, then one with each option changed.
VARIANTS: list[methods.Method] = [
    variant
    for method in map(methods.get, methods.NAMES)
    for variant in (
        method,
        *(type(method)(**{option: other}) for option, other in _OTHER.items() if hasattr(method, option)),
    )
]

ATTENTION_METHODS = tuple(name for name in methods.NAMES if methods.get(name).needs_attention)
#: Those that work on any model.
MAP_METHODS = tuple(
    name for name in methods.NAMES if name not in ATTENTION_METHODS and not methods.get(name).needs_head
)
ACTIVATION_METHODS = tuple(name for name in MAP_METHODS if not methods.get(name).explains_target)
GRADIENT_METHODS = tuple(name for name in MAP_METHODS if methods.get(name).needs_gradients)
REPLAY_METHODS = tuple(name for name in methods.NAMES if methods.get(name).needs_replay)
