"""How a command line of this project runs and ends."""

import contextlib
import logging
import os
import sys
import warnings
from typing import Iterator, Optional

from tfmaskrcnn.support.quiet import hide_remarks


def run_command(options) -> int:
    """Call `options.run` with the parsed `options`, which have `verbose` too.

    To be called before TensorFlow is imported.

    Returns:
        The exit code: what `options.run` returns (0 for None), 2 after a wrong input, 130 after
        Ctrl-C, 141 if nobody reads the output.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its C++ log is for its own developers
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever other programs of this user's take
    if not options.verbose:
        hide_remarks()
    _set_up_messages(options.verbose)
    if hasattr(sys.stdout, "reconfigure"):  # names of files may be in no encoding, and tables
        sys.stdout.reconfigure(errors="replace")  # not in that of an old terminal
    try:
        return _run(options)
    except KeyboardInterrupt as stopped:
        print(f"tfmaskrcnn: stopped. {stopped}".rstrip(), file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        # Python flushes stdout once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _run(options) -> int:
    from tfmaskrcnn.errors import InputError

    try:
        with _without_empty_folders(getattr(options, "out", None)):
            code = options.run(options) or 0
        sys.stdout.flush()
    except InputError as error:
        if options.verbose:
            raise
        print(f"tfmaskrcnn: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a folder that may not be read, a disk that is gone
        if options.verbose or isinstance(error, BrokenPipeError):
            raise
        named = error.filename is not None and error.strerror
        what = f"{error.filename}: {error.strerror}" if named else str(error)
        print(f"tfmaskrcnn: {what}.", file=sys.stderr)
        return 2
    return code


@contextlib.contextmanager
def _without_empty_folders(out: Optional[str]) -> Iterator[None]:
    """Remove what folders a command has made for its output, if it leaves them empty."""
    from tfmaskrcnn.support.run_folder import removed_if_empty
    from tfmaskrcnn.support.storage import absolute

    if not isinstance(out, str):
        yield
        return
    with removed_if_empty(os.path.dirname(absolute(out))), removed_if_empty(out):
        yield


def _set_up_messages(verbose: bool) -> None:
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    for noisy in ("tensorflow", "absl", "matplotlib", "PIL", "h5py"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    if not verbose:
        warnings.filterwarnings("ignore", module="keras")  # advice for the caller of `fit`
