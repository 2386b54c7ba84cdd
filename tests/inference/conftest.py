from collections.abc import Iterator
from threading import Thread

import pytest

from tests.inference.server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    Thread(target=server.http.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.http.shutdown()
    server.http.server_close()
