"""The reading room, in the terms of whoever reads in it."""

from typing import Any

from playwright.sync_api import Page

from tests.stack import wait_until


def viewer(page: Page) -> dict[str, Any]:
    """What the viewer shows."""
    state: dict[str, Any] = page.evaluate("window.__reread.viewer")
    return state


def pane(page: Page, plane: str = "axial") -> dict[str, Any]:
    """What the viewer shows in one plane."""
    shown: dict[str, Any] = viewer(page)["panes"][plane]
    return shown


def wait_until_loaded(page: Page, slices: int) -> None:
    """Wait until the viewer has the whole series, and has drawn what it can of it."""
    loaded = "window.__reread?.viewer?.loaded"
    wait_until(lambda: page.evaluate(loaded) == slices, "the whole series is loaded", 90)
    drawn = "(({ planes, panes }) => planes.every(plane => panes[plane].drawn))"
    drawn += "(window.__reread.viewer)"
    wait_until(lambda: page.evaluate(drawn), "all planes are drawn", 90)


def answer(page: Page, question: str, value: str) -> None:
    """Click an answer of a choice."""
    page.locator(f"[data-question={question}] [data-value={value}]").click()


def rate(page: Page, malignancy: int) -> None:
    """Type a rating from 0 to 100."""
    field = page.locator("[data-question=malignancy] input[data-entry]")
    field.fill(str(malignancy))
    field.press("Enter")


def fill_in(page: Page, malignancy: int) -> None:
    """Answer every question about the nodule that is open."""
    for question, value in {
        "margin_conspicuity": "well_marginated",
        "margin": "lobulated",
        "shape": "ovoid",
        "consistency": "solid",
        "pleural_attachment": "absent",
        "pleural_retraction": "absent",
        "further_features": "none",
        "confidence": "moderate",
    }.items():
        answer(page, question, value)
    rate(page, malignancy)


MIDDLE = """plane => {
  const canvas = document.querySelector(`.pane.${plane} canvas`)
  const [x, y] = [Math.floor(canvas.width / 2), Math.floor(canvas.height / 2)]
  return canvas.getContext('2d').getImageData(x, y, 1, 1).data[0]
}"""


def hu_in_the_middle(page: Page, plane: str = "axial") -> float:
    """What the grey level in the middle of a pane stands for; only within the window."""
    window: dict[str, float] = viewer(page)["window"]
    grey: float = page.evaluate(MIDDLE, plane)
    return window["centre"] - window["width"] / 2 + grey / 255 * window["width"]
