"""Where images come from: files of images, Parquet files, TFRecord files, and ``tf.data``.

Each kind has a function that lists its images as :class:`~visualcnn_tf.data.shards.Piece`, in the driver, and a reader,
which goes to the workers.
"""
