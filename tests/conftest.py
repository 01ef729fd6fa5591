"""What all tests share: the environment, set before TensorFlow is first imported."""

import os

# Every CropAndResize in a graph logs a harmless "Error in PredictCost()" (tensorflow#56904).
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
