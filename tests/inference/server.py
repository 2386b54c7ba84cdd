"""A small DICOMweb server that really speaks HTTP."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataset import Dataset


class Server:
    """A DICOMweb server of one series, which notes what it is asked."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[tuple[str, str | None]] = []
        self.body = b""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers["Authorization"]))
                self.send_response(outer.status)
                if outer.status == 200:
                    kind = 'multipart/related; type="application/dicom"; boundary=edge'
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                if outer.status == 200:
                    self.wfile.write(outer.body)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/dicomweb"

    def serve(self, series: list[Dataset]) -> None:
        for one in series:
            part = BytesIO()
            one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
            one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
            pydicom.dcmwrite(part, one, enforce_file_format=True)
            head = b"--edge\r\nContent-Type: application/dicom\r\n\r\n"
            self.body += head + part.getvalue() + b"\r\n"
        self.body += b"--edge--\r\n"
