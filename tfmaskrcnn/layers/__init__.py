"""Layers: what holds weights. The arithmetic between them is in `ops`."""
