"""Export models with their heatmaps: as SavedModels for servers, and as TensorFlow Lite files for devices.

``saved_model.py`` and ``tflite.py`` hold the two public functions; each has a module next to it that verifies what it
writes (``saved_model_verification.py``, ``tflite_verification.py``).
"""
