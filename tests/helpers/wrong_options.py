"""Commands that are typed with options that cannot be."""

import subprocess
import sys


def told_at_once(place, command, wrong):
    """Check that each of `wrong`, (options, what is told), is refused without TensorFlow.

    `command` is typed in the folder `place` with each, which must make or remove nothing there.
    """
    before = sorted(map(str, place.rglob("*")))
    code = (
        "import sys; from tfmaskrcnn.cli.main import main\n"
        f"for options in {[options for options, _ in wrong]!r}:\n"
        f"    assert main([*{command!r}, *options]) == 2, options\n"
        "    assert 'tensorflow' not in sys.modules, options\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=place)
    assert done.returncode == 0, done.stderr
    for (options, expected), line in zip(wrong, done.stderr.splitlines()):
        assert expected in line, (options, line)
    assert sorted(map(str, place.rglob("*"))) == before
