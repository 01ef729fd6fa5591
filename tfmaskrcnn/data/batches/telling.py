"""Data sets whose errors reach whoever iterates over them by hand as the sentence that they are."""

import functools
from typing import Type

import tensorflow as tf

from tfmaskrcnn.errors import explained

# What keeps the property: methods that give another data set of the same batches.
_KEEPING = ("take", "skip", "repeat", "prefetch", "with_options", "enumerate", "unbatch", "map")


def telling(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """`dataset`, whose iterators raise an `InputError` and not TensorFlow's error around it.

    TensorFlow takes data sets by their class, so this one gets a subclass of its own class.
    """
    dataset.__class__ = _telling_class(type(dataset))
    return dataset


@functools.cache
def _telling_class(base: Type[tf.data.Dataset]) -> Type[tf.data.Dataset]:
    if getattr(base, "tells_errors", False):
        return base

    def begin(self):
        iterator = base.__iter__(self)
        if tf.executing_eagerly():
            iterator.__class__ = _telling_iterator(type(iterator))
        return iterator

    members = {"tells_errors": True, "__iter__": begin}
    members.update({name: _kept(base, name) for name in _KEEPING})
    return type(base.__name__, (base,), members)


def _kept(base: Type[tf.data.Dataset], name: str):
    method = getattr(base, name)

    @functools.wraps(method)
    def kept(self, *args, **kwargs):
        return telling(method(self, *args, **kwargs))

    return kept


@functools.cache
def _telling_iterator(base: type) -> type:
    def following(self):
        try:
            return base.__next__(self)
        except tf.errors.OpError as error:
            raise explained(error, {}) from None

    return type(base.__name__, (base,), {"__next__": following})
