"""A server on this machine for tests of what is fetched: it does all that servers do."""

import contextlib
import http.server
import threading
import time


class FileServer:
    """Serves `files`, {name: content}, at `address`/name, and at these places below `address`:

    moved/NAME sends on to NAME, gone/NAME is 404, cut/NAME ends in the middle, slow/NAME comes in
    parts, silent/NAME says nothing. `asked` lists what was asked for.
    """

    def __init__(self, **files):
        self.files, self.asked, self.pause = files, [], 0.05
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path.strip("/"))
                with contextlib.suppress(ConnectionError):
                    outer.answer(self)

            def log_message(self, *_):
                """Keep quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request):
        way, _, name = request.path.strip("/").rpartition("/")
        content = self.files.get(name)
        if way == "gone" or content is None:
            request.send_error(404)
            return
        if way == "silent":
            time.sleep(5)
            return
        if way == "moved":
            request.send_response(302)
            request.send_header("Location", f"/{name}")
            request.end_headers()
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        half = len(content) // 2
        for part in (content[:half], b"" if way == "cut" else content[half:]):
            request.wfile.write(part)
            request.wfile.flush()
            time.sleep(self.pause if way == "slow" else 0)

    def close(self):
        self._server.shutdown()
        self._server.server_close()
