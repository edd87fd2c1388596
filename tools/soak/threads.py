"""Threads that call explained models and the original one at the same time, while others attach."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from tools.soak.subject import SoakError, attached, check_same, cnn, images

THREADS = 8


def run_together(jobs: Sequence[Callable[[], None]], seconds: float) -> None:
    """Run every job in a thread of its own, all started at once.

    Raises:
        SoakError: A job failed, or did not end in time.
    """
    start, errors = threading.Barrier(len(jobs)), []

    def run(job: Callable[[], None]) -> None:
        try:
            start.wait(60)
            job()
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(seconds)
    if errors:
        raise SoakError(f"{len(errors)} of {len(jobs)} threads failed, the first with {errors[0]!r}") from errors[0]
    if any(thread.is_alive() for thread in running):
        raise SoakError(f"A thread did not end within {seconds:.0f} s.")


def shared(calls: int, attaches: int) -> dict[str, str]:
    """Call models in threads while others attach; results must be right and the model unchanged."""
    model, batches = cnn(), [images(2, seed) for seed in range(THREADS)]
    explained = [attached(model, number) for number in range(3)]
    want = [(model(batch), *(one(batch) for one in explained)) for batch in batches]
    before = [dict(vars(layer)) for layer in model.layers]

    def caller(number: int) -> Callable[[], None]:
        def call() -> None:
            for turn in range(calls):
                which = (number + turn) % (1 + len(explained))
                called: Any = (model, *explained)[which]
                check_same(f"thread {number}", called(batches[number]), want[number][which])

        return call

    def attacher() -> None:
        for turn in range(attaches):
            check_same("attached in a thread", attached(model, turn)(batches[0]), want[0][1 + turn % 3])

    run_together([*map(caller, range(THREADS)), attacher, attacher], seconds=600)
    changed = [layer.name for layer, was in zip(model.layers, before, strict=True) if set(vars(layer)) != set(was)]
    if changed:
        raise SoakError(f"Attributes were left on the layers {changed}.")
    return {"threads": str(THREADS), "calls per thread": f"{calls:,}", "attached meanwhile": f"{2 * attaches:,}"}


def first_calls(rounds: int) -> dict[str, str]:
    """Call a model from all threads at once that was never called, built or traced before."""
    batch = images(2)
    for _ in range(rounds):
        model = cnn()
        explained = [attached(model, number) for number in range(3)]
        answers: list[tuple[int, Any]] = []

        def call(number: int, explained: Any = explained, answers: Any = answers) -> Callable[[], None]:
            return lambda: answers.append((number % 3, explained[number % 3](batch)))

        run_together([call(number) for number in range(THREADS)], seconds=300)
        for number, answer in answers:
            check_same("first call", answer, explained[number](batch))
    return {"threads": str(THREADS), "models called first by all": str(3 * rounds)}
