"""All architectures of the sweep, by name."""

from __future__ import annotations

from tools.zoo import applications, handmade, hub
from tools.zoo.subject import Build

#: The groups of the table.
GROUPS: dict[str, dict[str, Build]] = {
    "keras.applications": applications.architectures(),
    "other kinds of models": handmade.BUILDS,
    "keras_hub": hub.backbones(),
}

ARCHITECTURES: dict[str, Build] = {name: build for group in GROUPS.values() for name, build in group.items()}
