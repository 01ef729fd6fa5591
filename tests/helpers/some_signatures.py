"""Exports of the signatures that a test calls; a whole one takes three times as long."""

from unittest import mock

import tfmaskrcnn as mr
from tfmaskrcnn.export.signatures import Servable


def exported_with(names, model, folder, options=None, thresholds=None):
    """`mr.export_saved_model(model, folder, ...)` with the signatures `names` alone."""

    class Some(Servable):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.functions = {name: self.functions[name] for name in names}

    with mock.patch("tfmaskrcnn.export.saved_model.Servable", Some):
        return mr.export_saved_model(model, str(folder), options, thresholds)
