"""Pure functions on tensors: the arithmetic of the paper, without weights."""
