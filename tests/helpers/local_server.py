"""An HTTP server of a test's own, on a free port of this machine."""

import contextlib
import http.server
import threading

_POLL_SECONDS = 0.02  # it ends as soon


@contextlib.contextmanager
def served(handler, **attributes):
    """Serve by a class of handlers until the block ends; yields the address.

    `attributes` are the server's, which a handler finds at `self.server`.
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    vars(server).update(attributes)
    threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
