"""What all shards of a job have in common, and where its files are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property

from visualcnn_tf.data.files import Location, locate
from visualcnn_tf.data.saved_model import Output
from visualcnn_tf.data.sources.find import dump_reader, load_reader
from visualcnn_tf.data.sources.reader import Reader


@dataclass(frozen=True)
class Job:
    """What a worker has to know.

    Attributes:
        model: The exported model's folder, or its address.
        out: The folder that the job writes.
        outputs: What the model returns for an image.
        reader: Reads the images.
        rows: How many images there are.
        shard_rows: How many a shard has.
        batch_size: How many the model gets at once.
        threads: How many threads TensorFlow takes.
        sink: Where maps go.
        encoding: How a table holds maps.
    """

    model: str
    out: str
    outputs: dict[str, Output]
    reader: Reader
    rows: int
    shard_rows: int
    batch_size: int
    threads: int
    sink: str
    encoding: str

    @cached_property
    def folder(self) -> Location:
        """The folder that the job writes."""
        return locate(self.out)

    @property
    def scratch(self) -> Location:
        """The folder for files that are not whole yet."""
        return scratch(self.folder)

    def dump(self) -> str:
        """Return the job as text, as it goes to a worker."""
        return json.dumps({**asdict(self), "outputs": self.outputs, "reader": dump_reader(self.reader)})

    @classmethod
    def load(cls, text: str) -> Job:
        """Return the job that a text stands for."""
        fields = json.loads(text)
        outputs = {name: Output(tuple(shape), dtype) for name, (shape, dtype) in fields.pop("outputs").items()}
        return cls(outputs=outputs, reader=load_reader(fields.pop("reader")), **fields)


def scratch(out: Location) -> Location:
    """Return the folder for files that are not whole yet."""
    return out / "_temporary"


def part_name(index: int) -> str:
    """Return the name of a shard's table."""
    return f"part-{index:06d}.parquet"
