"""Write a training run as a SavedModel: `python export/saved_model.py RUN FOLDER`.

The same as `tfmaskrcnn export`; here it stands beside the other deployment scripts.
"""

import sys

from tfmaskrcnn.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
