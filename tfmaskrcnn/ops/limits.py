"""Numbers that parts far from each other agree on."""

# What a request may ask of an exported model, unless it is exported to take more or less.
# Peak memory is 15 bytes a pixel (uint8 and float32); 8064 x 6048 cameras fit.
MAX_PIXELS = 50_000_000
# However small images are, each takes the network's memory: some GB of 800 x 1344 pixels.
MAX_BATCH = 64
# Side of the ground-truth masks of a batch: what the object's box shows, resampled.
GT_MASK_SIDE = 112
# Shares of an image's values that `stretch_contrast` sends to 0 and to 255: a few dead or hot
# pixels must not decide the range.
STRETCH_LOW, STRETCH_HIGH = 0.002, 0.998
# An image whose median lies above the middle of 0..255 has a bright background.
BRIGHT_MEDIAN = 127
# What a float32 sum of resized pixels that should be whole may lack of it.
WHOLE = 1e-4
