import math
import sys

import pytest

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.extras import needed


def test_what_is_installed_is_imported_and_what_is_not_is_told(monkeypatch):
    assert needed("math", "a-package", "Counting needs", "formats") is math
    monkeypatch.setitem(sys.modules, "math", None)
    with pytest.raises(InputError) as caught:
        needed("math", "a-package", "Counting needs", "formats")
    assert str(caught.value) == (
        "Counting needs the package a-package: pip install 'tfmaskrcnn[formats]'."
    )
