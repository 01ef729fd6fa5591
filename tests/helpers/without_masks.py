"""Examined sets of boxes alone."""

import dataclasses


def without_masks(examined):
    """The same set as it would be if neither what is there nor what was found had masks."""
    images = [
        dataclasses.replace(
            image, objects=image.objects._replace(rles=None), found=image.found._replace(rles=None)
        )
        for image in examined.images
    ]
    return dataclasses.replace(examined, images=images, has_masks=False)
