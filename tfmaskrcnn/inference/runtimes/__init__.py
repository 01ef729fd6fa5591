"""What runs an exported file without TensorFlow."""
