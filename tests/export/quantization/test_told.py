"""What both formats of eight bits say alike."""

import pytest

import tfmaskrcnn as mr
from tfmaskrcnn.export.quantization import onnx_int8, tflite_int8


@pytest.mark.parametrize("runtime", [onnx_int8, tflite_int8])
def test_a_saved_model_of_another_precision_is_refused(runtime, tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "export.json").write_text('{"options": {"precision": "float16"}}')
    with pytest.raises(mr.InputError, match="is of float16; eight bits"):
        runtime.convert(str(tmp_path), str(tmp_path / "out"))
