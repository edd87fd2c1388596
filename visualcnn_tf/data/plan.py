"""``plan.json``: what a job is made of, so that a later call goes on with the same job or with none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.data.files import Location
from visualcnn_tf.data.saved_model import Output
from visualcnn_tf.data.shards import Shard
from visualcnn_tf.errors import InvalidArgumentError

FILE = "plan.json"
_FORMAT = 1
_ELSEWHERE = "Choose another `out`, or delete this one to begin anew."


@dataclass(frozen=True)
class Plan:
    """What decides about the content of a job's files.

    How many workers there are, which engine runs them and how many images the model gets at once is not part of it:
    a job may go on with others.

    Attributes:
        model: A number for what the model is.
        options: The options that change what is written.
        rows: How many images there are.
        shards: A number for each shard.
        outputs: The shape and type of each output, for readers.
    """

    model: str
    options: Mapping[str, object]
    rows: int
    shards: Sequence[str]
    outputs: Mapping[str, Output]

    def write(self, out: Location, scratch: Location) -> None:
        """Write the plan."""
        outputs = {name: output._asdict() for name, output in self.outputs.items()}
        content = {"format": _FORMAT, **asdict(self), "outputs": outputs}
        (out / FILE).write(json.dumps(content, indent=1).encode(), scratch)

    def check_same(self, out: Location, shards: Sequence[Shard]) -> None:
        """Raise unless an earlier plan is the same.

        Args:
            out: The folder that holds it.
            shards: Those of this plan.

        Raises:
            InvalidArgumentError: For the first difference, naming it.
        """
        try:
            old = json.loads((out / FILE).read())
        except ValueError as error:
            raise _not_a_job(out) from error
        if not isinstance(old, dict) or old.get("format") != _FORMAT:
            raise _not_a_job(out)
        if old["model"] != self.model:
            advice = f"`out` was begun with another one. {_ELSEWHERE}"
            raise InvalidArgumentError(f"`model` must be that of the plan in {out.path!r}. {advice}")
        for name, value in self.options.items():
            if old["options"].get(name) != value:
                raise bad_value(name, f"{old['options'].get(name)!r}, as in {out.path!r}", value, _ELSEWHERE)
        if old["shards"] != self.shards:
            raise self._other_listing(out, old, shards)

    def _other_listing(self, out: Location, old: Mapping[str, list[str]], shards: Sequence[Shard]) -> Exception:
        pairs = enumerate(zip(old["shards"], self.shards, strict=False))
        index = next((index for index, (one, other) in pairs if one != other), min(len(old["shards"]), len(shards) - 1))
        return InvalidArgumentError(
            f"`source` must be that of the plan in {out.path!r}: {old['rows']} images. Received: {self.rows} images; "
            f"the first difference is in {shards[index]}. {_ELSEWHERE}"
        )


def _not_a_job(out: Location) -> InvalidArgumentError:
    return bad_value("out", "a new folder, or that of an earlier job", out.path, f"Its `{FILE}` is of something else.")
