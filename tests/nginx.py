"""The nginx of a deployment, on this machine: docker/nginx.conf with other paths and ports."""

import os
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from tests.stack import wait_until

CHECKOUT = Path(__file__).resolve().parent.parent
# Debian keeps servers where an ordinary user's PATH does not look.
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


class Nginx:
    """nginx before a site at `site`, in `folder`; where images are kept is `frames`."""

    def __init__(self, folder: Path, site: str, frames: Path, more: str = "") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self._configuration = folder / "nginx.conf"
        text = (CHECKOUT / "docker" / "nginx.conf").read_text()
        for there, here in (
            # Started by root it would read as somebody who may not enter folders of tests.
            ("pid ", "user root;\npid " if os.getuid() == 0 else "pid "),
            ("/tmp/", f"{folder}/"),
            ("/dev/stdout", str(folder / "access.log")),
            ("/dev/stderr", str(folder / "error.log")),
            ("listen 8080", f"listen 127.0.0.1:{self.port}"),
            ("http://web:8000", site),
            ("/data/frames", str(frames)),
            ("/data/static", str(folder / "static")),
            ("server {", f"server {{\n{more}"),
        ):
            assert there in text, there
            text = text.replace(there, here)
        self._configuration.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        assert NGINX, "nginx is not installed (apt-get install nginx)"
        command = [NGINX, "-c", str(self._configuration), "-g", "daemon off;"]
        self._process = subprocess.Popen(command, start_new_session=True)
        wait_until(self._answers, "nginx answers", 60)

    @property
    def pid(self) -> int:
        """The master process."""
        assert self._process is not None
        return self._process.pid

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/metrics", timeout=5):
                return True
        except urllib.error.HTTPError as answer:
            return answer.code == 404
        except OSError:
            return False

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
            self._process = None
