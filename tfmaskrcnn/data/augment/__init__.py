"""Random changes of training images and of the objects in them."""
