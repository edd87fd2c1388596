"""A SavedModel in the C loader, behind pipes: a pickled (feeds, fetches) in, a list of arrays or an error's text out.

Run as a program, ``python c_child.py FOLDER``; it never imports TensorFlow in Python.
"""

from __future__ import annotations

import pickle
import sys

from c_loader import Session  # run as a program: its folder is on the path


def main(folder: str) -> None:
    session = Session(folder)
    while True:
        try:
            feeds, fetches = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = session.run(feeds, fetches)
        except RuntimeError as error:
            answer = str(error)
        assert "tensorflow" not in sys.modules
        pickle.dump(answer, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1])
