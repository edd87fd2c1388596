"""The everyday tests with the oldest and the newest TensorFlow, each in an environment of its own.

``nox`` runs every combination whose interpreter it finds, ``nox -s oldest-3.11`` one of them; what follows ``--`` goes
to pytest: ``nox -s newest-3.13 -- tests/heatmap/test_layer.py``. ``nox -s docs`` builds the documents, with the API
reference,
into ``site/``.
"""

from __future__ import annotations

import nox

nox.options.sessions = ["oldest", "newest"]

#: The lower bounds of pyproject.toml.
OLDEST = ("tensorflow==2.17.1", "keras==3.8.0", "numpy==1.26.4")


@nox.session(python=["3.10", "3.11", "3.12"])
def oldest(session: nox.Session) -> None:
    """TensorFlow 2.17.1, which has no wheels for Python 3.13."""
    session.install("-e", ".[test]", *OLDEST)
    _test(session)


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def newest(session: nox.Session) -> None:
    """The newest versions that pip finds for this Python."""
    session.install("--upgrade", "--upgrade-strategy", "eager", "-e", ".[test]")
    _test(session)


@nox.session
def docs(session: nox.Session) -> None:
    """Every warning is an error."""
    session.install(".[docs]")
    session.run("mkdocs", "build", "--strict", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"})


def _test(session: nox.Session) -> None:
    session.run("python", "-c", "import keras, tensorflow as tf; print(tf.version.VERSION, keras.__version__)")
    session.run("python", "-m", "pytest", *session.posargs, env={"TF_CPP_MIN_LOG_LEVEL": "3"})
