"""The exported network for runtimes other than TensorFlow: ONNX and TFLite.

Both start from a SavedModel's signature `network`, frozen for one input shape, and replace its two
operations that exist in TensorFlow alone (CombinedNonMaxSuppression and CropAndResize).
"""
