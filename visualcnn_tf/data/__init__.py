"""Folders and data sets as data: sources, the job that explains them, its sinks, and the engines that run it.

``job.py`` holds ``explain_dataset``. ``work.py`` and what it imports run in the workers, which load no Keras.
"""
