"""``python -m visualcnn_tf`` is the command ``visualcnn``."""

import sys

from visualcnn_tf.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
