"""The browsers of many readers: what `benchmarks.site_readers` runs beside the site.

They come within the time of one reading, so that at any moment as many are at each point of it as
later on, and are measured once all of them read.
"""

import asyncio
import json
import random
import secrets
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

SAVES = ("draft", "lock", "submit")
SAVE_LIMIT_MS, OPENING_LIMIT_MS = 150.0, 300.0
AT_ONCE = 6  # images a browser asks for side by side
# Seconds for which somebody looks at a nodule, without the AI and then with it, between least and
# most: a minute and half of one. A whole CT takes minutes; more often than this nobody saves.
READS = (("unaided", 40, 80), ("aided", 20, 40))
SAVES_EVERY = (2, 6)  # seconds: a question answered, and what the room tells of it
COME_WITHIN = 90.0  # seconds: the length of a reading


class Browser:
    """One reader's browser."""

    def __init__(self, client: httpx2.AsyncClient, reader: dict[str, Any], log: "Log") -> None:
        self.client, self.log = client, log
        self.loaded = 0.0  # when the page at hand was
        self.answers = {int(pk): answers for pk, answers in reader["answers"].items()}
        token = secrets.token_hex(16)
        cookies = f"sessionid={reader['session']}; csrftoken={token}"
        self.headers = {"Cookie": cookies, "X-CSRFToken": token}
        self.chance = random.Random(reader["session"])  # noqa: S311

    async def read(self, until: float) -> None:
        """Read until it is time to stop."""
        await asyncio.sleep(self.chance.uniform(0, COME_WITHIN))
        for number, answers in self.answers.items():
            if time.monotonic() > until:
                return
            await self.one(number, answers, until)

    async def one(self, number: int, answers: dict[str, Any], until: float) -> None:
        """Do one reading."""
        await self.call("worklist", "GET", "/worklist")
        began = time.perf_counter()
        await self.call("page", "GET", f"/reading/{number}")
        shown = await self.call("open", "POST", f"/api/readings/{number}/open")
        if shown is None:
            return
        self.log.took("opening", began)
        self.loaded = began
        series = shown["series"][0]
        root = f"{series['dicomweb']}/studies/{series['study_uid']}/series/{series['series_uid']}"
        await self.call("headers", "GET", f"{root}/metadata")
        slices = list(range(1, series["slices"] + 1))
        middle = slices.pop(len(slices) // 2)
        await self.frame(root, middle)
        self.log.took("first image", began)
        images = asyncio.create_task(self.frames(root, slices))
        version, page = 0, _key()
        for stage, least, most in READS:
            if stage == "aided":
                await self.call("ai", "GET", f"/api/readings/{number}/ai")
            ends = time.monotonic() + self.chance.uniform(least, most)
            while time.monotonic() < min(ends, until):
                await asyncio.sleep(self.chance.uniform(*SAVES_EVERY))
                draft = {"stage": stage, "version": version, "answers": answers, "key": _key()}
                saved = await self.call("draft", "PUT", f"/api/readings/{number}/draft", draft)
                version = saved["version"] if saved else version
                events = {"events": [self.event(stage, page) for _ in range(10)]}
                await self.call("events", "POST", f"/api/readings/{number}/events", events)
            await images
            if time.monotonic() > until:
                return
            step = "lock" if stage == "unaided" else "submit"
            sent = {"answers": answers, "version": version, "key": _key()}
            await self.call(step, "POST", f"/api/readings/{number}/{step}", sent)

    def event(self, stage: str, page: str) -> dict[str, Any]:
        """Make an event as the reading room sends them."""
        at = (time.perf_counter() - self.loaded) * 1000
        data = {"page": page, "plane": "axial", "slice": 31}
        return {"key": _key(), "kind": "slice", "stage": stage, "monotonic_ms": at, "data": data}

    async def frames(self, root: str, slices: list[int]) -> None:
        """Ask for the other images, several at a time."""
        waiting = iter(slices)

        async def line() -> None:
            for number in waiting:
                await self.frame(root, number)

        await asyncio.gather(*(line() for _ in range(AT_ONCE)))

    async def frame(self, root: str, number: int) -> None:
        """Ask for one image."""
        await self.call("image", "GET", f"{root}/slices/{number}/frames/1", raw=True)

    async def call(
        self, what: str, method: str, path: str, body: Any = None, *, raw: bool = False
    ) -> Any:
        """Ask the site; note the time, and what is not as it should be."""
        began = time.perf_counter()
        try:
            answer = await self.client.request(method, path, json=body, headers=self.headers)
        except httpx2.HTTPError as error:
            self.log.errors[f"{what}: {type(error).__name__}"] += 1
            return None
        self.log.took(what, began)
        if answer.status_code != 200:
            self.log.errors[f"{what}: {answer.status_code} {answer.text[:120]}"] += 1
            return None
        if raw:
            self.log.received(len(answer.content))
            return None
        kind = answer.headers["content-type"]
        return answer.json() if kind.startswith("application/json") else None


class Log:
    """What was measured, from the moment `since` on; errors count from the beginning."""

    def __init__(self, since: float) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        self.errors: dict[str, int] = defaultdict(int)
        self.since, self.bytes = since, 0

    def took(self, what: str, began: float) -> None:
        """Note a time."""
        if time.monotonic() > self.since:
            self.times[what].append((time.perf_counter() - began) * 1000)

    def received(self, size: int) -> None:
        """Note what came."""
        if time.monotonic() > self.since:
            self.bytes += size

    async def late(self) -> None:
        """Note how late this very process is: what it adds to every time."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.05)
            self.took("(late)", began + 0.05)


def _key() -> str:
    return str(uuid4())


def quantile(times: list[float], share: float) -> float:
    """Return the time that `share` of `times` do not exceed."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


async def run(plan: dict[str, Any], url: str) -> Log:
    """Let all of them read."""
    since = time.monotonic() + COME_WITHIN
    log, until = Log(since), since + plan["seconds"]
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        browsers = [Browser(client, reader, log) for reader in plan["readers"]]
        late = asyncio.create_task(log.late())
        await asyncio.gather(*(browser.read(until) for browser in browsers))
        late.cancel()
    return log


def main() -> int:
    """Read, and print what it took."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    log = asyncio.run(run(plan, sys.argv[2]))
    print(f"{'':<12} {'number':>7} {'median':>8} {'95 %':>8} {'most':>8}   (ms)")
    for what, times in log.times.items():
        row = [quantile(times, share) for share in (0.5, 0.95)]
        print(f"{what:<12} {len(times):>7} {row[0]:>8.1f} {row[1]:>8.1f} {max(times):>8.1f}")
    saves = [one for what in SAVES for one in log.times[what]]
    save, opening = quantile(saves, 0.95), quantile(log.times["opening"], 0.95)
    rate = len(log.times["image"]) / plan["seconds"]
    print(f"images: {rate:.0f} a second, {log.bytes / plan['seconds'] / 1e6:.1f} MB/s")
    print(f"saving an answer: 95 % within {save:.0f} ms (target {SAVE_LIMIT_MS:g})")
    print(f"opening a reading: 95 % within {opening:.0f} ms (target {OPENING_LIMIT_MS:g})")
    print(f"errors: {dict(log.errors) or 0}")
    return int(save > SAVE_LIMIT_MS or opening > OPENING_LIMIT_MS or bool(log.errors))


if __name__ == "__main__":
    sys.exit(main())
