"""The network and what `fit` does with it; `mask_rcnn` reads top to bottom like the paper."""
