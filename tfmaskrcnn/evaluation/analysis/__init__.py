"""Why a model has the AP it has: NumPy on stored matches, without images and without a model."""
