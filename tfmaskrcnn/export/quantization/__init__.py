"""Eight bits: what is computed in integers, and the ranges that images give it."""
