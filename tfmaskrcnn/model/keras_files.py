"""What Keras saves of a model and opens again: files in its own formats, and the flat `.npz`."""

import os

import keras
import numpy as np

from tfmaskrcnn.errors import InputError, one_line
from tfmaskrcnn.model.weights import load_weights, save_weights

_AVERAGE = "average."  # before the names of a `WeightAverage`, among what Keras stores of a model


class KerasFiles(keras.Model):
    """A `keras.Model` that writes no file which cannot be read again."""

    average = None  # a `WeightAverage` after `compile(ema=...)`

    def save(self, filepath, *args, **kwargs):
        """`keras.Model.save` to a `.keras` file, which `keras.models.load_model` opens.

        Raises:
            InputError: the name ends otherwise. Keras would write HDF5 or a SavedModel, neither of
                which it can make this model of again.
        """
        path = os.fspath(filepath)
        if not path.endswith(".keras") and kwargs.get("zipped") is not False:
            raise InputError(
                f"model.save({path!r}): a whole model is saved to a .keras file; for weights alone "
                "call save_weights('name.weights.h5'), for a file that our commands take "
                "mr.save(model, 'name.tfmaskrcnn'), for a model to serve "
                "mr.export_saved_model(model, folder)."
            )
        return super().save(filepath, *args, **kwargs)

    def save_weights(self, filepath, *args, **kwargs):
        """`keras.Model.save_weights`; to `.npz` as `weights.save_weights`, for either Keras."""
        if os.fspath(filepath).endswith(".npz"):
            return save_weights(self, os.fspath(filepath))
        return super().save_weights(filepath, *args, **kwargs)

    def load_weights(self, filepath, *args, **kwargs):
        """`keras.Model.load_weights`; of `.npz` as `weights.load_weights`.

        Raises:
            InputError: the file does not fit this model, or this Keras.
        """
        path = os.fspath(filepath)
        if path.endswith(".npz"):
            return load_weights(self, path)
        try:
            return super().load_weights(filepath, *args, **kwargs)
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{path} does not fit the model: {one_line(error)} Weights of another version of "
                "Keras go by save_weights('name.npz') there."
            ) from error

    def export(self, filepath, *args, **kwargs):
        """Refused: Keras would fix the size of the pictures, and leave reading them out."""
        raise InputError(
            f"model.export: call mr.export_saved_model(model, {os.fspath(filepath)!r}), whose "
            "SavedModel takes pictures of any size, and files."
        )

    def save_own_variables(self, store):
        """Keep the average of the weights, beside what Keras keeps."""
        super().save_own_variables(store)
        if self.average:
            for name, variable in self.average.variables().items():
                store[_AVERAGE + name.replace("/", ".")] = variable.numpy()

    def load_own_variables(self, store):
        """Take back what `save_own_variables` has kept, if this model has an average too."""
        names = list(store.keys())
        if not any(name.startswith(_AVERAGE) for name in names):
            super().load_own_variables(store)
        elif self.average:
            for name, variable in self.average.variables().items():
                variable.assign(np.asarray(store[_AVERAGE + name.replace("/", ".")]))
