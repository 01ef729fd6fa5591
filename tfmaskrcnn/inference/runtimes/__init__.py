"""What runs an exported file without TensorFlow."""

# Of an .onnx file, the first by default; `network_opening` has the module of each.
RUNTIMES = ("onnxruntime", "openvino")
