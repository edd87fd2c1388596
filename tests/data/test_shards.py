"""Shards: every image once, each shard of the same number of rows, wherever files end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from visualcnn_tf.data.shards import Piece, Shard, cut


@given(st.lists(st.integers(0, 30), max_size=10), st.integers(1, 12))
def test_every_image_is_in_one_shard_in_order(counts: list[int], rows: int) -> None:
    pieces = [Piece(f"{name}", 0, count) for name, count in enumerate(counts)]
    shards = list(cut(pieces, rows))
    images = [(piece.name, piece.start + n) for shard in shards for piece in shard.pieces for n in range(piece.rows)]
    assert images == [(f"{name}", number) for name, count in enumerate(counts) for number in range(count)]
    assert [shard.count for shard in shards[:-1]] == [rows] * (len(shards) - 1)
    assert [shard.index for shard in shards] == list(range(len(shards)))
    assert [shard.first for shard in shards] == [rows * index for index in range(len(shards))]


def test_a_shard_is_the_same_after_it_was_sent() -> None:
    shard = Shard(3, 75, (Piece("ä/\udcff.png"), Piece("b.parquet", 5, 70, 999)))
    assert Shard.load(shard.dump()) == shard
    assert str(shard) == "shard 3 (rows 75 to 145, from 'ä/\\udcff.png')"


def test_the_hash_tells_what_a_shard_is_made_of() -> None:
    shard = Shard(0, 0, (Piece("a.png", stamp=5),))
    assert shard.hash == Shard(0, 0, (Piece("a.png", stamp=5),)).hash
    others = [Piece("b.png", stamp=5), Piece("a.png", stamp=6), Piece("a.png", 1, 1, 5), Piece("a.png", 0, 2, 5)]
    assert len({shard.hash, *(Shard(0, 0, (piece,)).hash for piece in others)}) == 5
