"""Layers of the network: what holds weights; the arithmetic between them is in `ops`."""
