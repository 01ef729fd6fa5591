"""Errors that the stand-in servers' requests end with."""

# HTTP status of the codes that predictions end with, as in TF Serving.
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "NOT_FOUND": 404,
    "UNAVAILABLE": 503,
    "INTERNAL": 500,
}


class Fault(Exception):
    """An error that a request ends with: the name of a gRPC code, and a text."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text
