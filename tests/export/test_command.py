"""`tfmaskrcnn export --format` as a user types it, on a tiny SavedModel."""

import subprocess
import sys

import pytest

from helpers.one_stack import on_stack_a


@on_stack_a
@pytest.mark.slow
def test_the_command_as_typed_writes_compares_and_keeps_quiet(saved_model, image_folder, tmp_path):
    out = tmp_path / "new" / "model.onnx"
    command = [sys.executable, "-m", "tfmaskrcnn", "export", saved_model, str(out)]
    command += ["--format", "onnx", "--fixed-size", "96", "128"]
    command += ["--images", image_folder, "--limit", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"written     {out}") and out.stat().st_size > 1e6
    assert "images float32 [1, 96, 128, 3]" in lines[1]
    assert [line.split()[0] for line in lines[3:6]] == ["0.png", "1.png", "all"]
    assert f"trtexec --onnx={out}" in lines[-1] and "--stronglyTyped" in lines[-1]
    assert done.stderr == ""
