"""The tiny transformers and detectors of the tests, whose folder is no package."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))
transformers = importlib.import_module("support.transformers")
detectors = importlib.import_module("support.detectors")
