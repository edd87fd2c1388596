"""A quiet TensorFlow, and a Matplotlib without a screen: set before either is imported."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["MPLBACKEND"] = "Agg"
# On some processors TensorFlow leaves oneDNN out, and with it convolutions with channels first or in groups.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Everyday: the same examples in each run. More: `pytest --hypothesis-profile=many tests/pipeline/test_properties.py`.
settings.register_profile("everyday", max_examples=20, derandomize=True, deadline=None)
settings.register_profile("many", max_examples=1000, deadline=None)
settings.load_profile("everyday")
