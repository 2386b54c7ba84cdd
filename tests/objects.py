"""A real S3 server for tests: SeaweedFS, which comes as a package."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.stack import wait_until

WEED = Path(sys.executable).parent / "weed"
KEY, SECRET, BUCKET = "reread", "of the tests", "images"
IDENTITIES = f"""{{"identities": [{{"name": "reread", "credentials":
  [{{"accessKey": "{KEY}", "secretKey": "{SECRET}"}}], "actions": ["Admin"]}}]}}"""


class S3:
    """A running S3 server with one bucket."""

    def __init__(self, folder: Path) -> None:
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(8)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            self._ports = [one.getsockname()[1] for one in sockets]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"http://127.0.0.1:{self._ports[6]}"

    def url(self, prefix: str) -> str:
        """The address of an archive below `prefix`."""
        return f"s3://{BUCKET}/{prefix}?endpoint={self.endpoint}&region=us-east-1"

    @property
    def token(self) -> str:
        """What opens it."""
        return f"{KEY}:{SECRET}"

    def store(self) -> S3Store:
        """The bucket itself."""
        return S3Store(
            BUCKET,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=KEY,
            secret_access_key=SECRET,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    def start(self) -> None:
        """Start it, and return when it has a bucket that takes objects."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "s3.json").write_text(IDENTITIES)
        master, master_rpc, volume, volume_rpc, filer, filer_rpc, s3, s3_rpc = map(str, self._ports)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(str(WEED), "server", "-dir", str(self._folder), "-ip", "127.0.0.1"),
                    *("-ip.bind", "127.0.0.1", "-master.port", master),
                    *("-master.port.grpc", master_rpc, "-volume.port", volume),
                    *("-volume.port.grpc", volume_rpc, "-filer.port", filer),
                    *("-filer.port.grpc", filer_rpc, "-s3", "-s3.port", s3),
                    *("-s3.port.grpc", s3_rpc, "-s3.config", str(self._folder / "s3.json")),
                    *("-master.volumeSizeLimitMB", "64", "-volume.max", "20"),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._ready, "the S3 server takes objects", 120)

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
        try:
            # The bucket is a folder of the filer.
            subprocess.run(
                [str(WEED), "shell", "-master", f"127.0.0.1:{self._ports[0]}.{self._ports[1]}"],
                input=f"s3.bucket.create -name {BUCKET}\n".encode(),
                capture_output=True,
                check=False,
                timeout=30,
            )
            obstore.put(self.store(), "ready", b"yes")
            obstore.delete(self.store(), "ready")
        except (BaseError, OSError, subprocess.TimeoutExpired):
            return False
        return True

    def stop(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def an_s3(folder: Path) -> Iterator[S3]:
    """Start a server for the time of a fixture."""
    server = S3(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
