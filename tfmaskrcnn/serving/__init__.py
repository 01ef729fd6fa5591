"""TF Serving: publishing an exported model to it, and clients that ask it."""
