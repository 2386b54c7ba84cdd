"""Whether everybody can use the reading room: in every state, at 200 % zoom, and without images."""

from typing import Any

import pytest
from playwright.sync_api import Page, Route, ViewportSize, expect

from reader_study.models import Answer, Nodule, Study
from tests.browser.room import fill_in, viewer
from tests.browser.test_pages import barriers
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# A window of 1440 by 900 at 200 %.
ZOOMED: ViewportSize = {"width": 720, "height": 450}
# What is wider than the window, and what can be operated and yet not be brought into it.
OUT_OF_REACH = """() => {
  const isReached = one => {
    const { left, right, top, bottom } = one.getBoundingClientRect()
    if (left < -1 || right > clientWidth + 1) return false
    const there = document.elementFromPoint((left + right) / 2, (top + bottom) / 2)
    return there && (one.contains(there) || one.labels?.[0]?.contains(there))
  }
  const found = []
  const { scrollWidth, clientWidth } = document.scrollingElement
  if (scrollWidth > clientWidth) found.push(`the page is ${scrollWidth} wide`)
  const controls = 'a[href], button:enabled, input:enabled, textarea:enabled, select:enabled'
  for (const one of document.querySelectorAll(controls)) {
    if (one.closest('[inert]') || !one.checkVisibility({ visibilityProperty: true })) continue
    one.scrollIntoView({ block: 'center', inline: 'nearest', behavior: 'instant' })
    if (one.getBoundingClientRect().width === 0 || isReached(one)) continue
    one.focus({ preventScroll: true }) // what leads past the page's head shows itself then
    if (!isReached(one)) {
      found.push(`${one.tagName} ${one.textContent || one.ariaLabel || one.name}`)
    }
  }
  scrollTo(0, 0)
  return found
}"""


def out_of_reach(page: Page) -> list[str]:
    found: list[str] = page.evaluate(OUT_OF_REACH)
    return found


def test_the_room_has_no_barriers_in_any_state_and_all_of_it_is_in_reach_at_200_percent(
    in_the_room: tuple[Page, Nodule], live_server: Any, images_study: Study
):
    page, _ = in_the_room
    found: dict[str, Any] = {}
    page.get_by_role("button", name="2 \u00d7 2").click()
    wait_until(lambda: viewer(page)["layout"] == "quad", "four panes", 10)
    page.keyboard.press("s")  # a slab
    page.keyboard.press("d")  # a tool
    found["four panes, a slab, a tool"] = barriers(page)
    page.set_viewport_size(ZOOMED)
    found["four panes at 200 %"] = [*out_of_reach(page), *filter(None, [barriers(page)])]
    page.keyboard.press("?")
    expect(page.get_by_role("region", name="Keys")).to_be_visible()
    found["the keys at 200 %"] = [*out_of_reach(page), *filter(None, [barriers(page)])]
    page.keyboard.press("?")
    page.get_by_role("button", name="Axial", exact=True).click()
    page.get_by_role("button", name="Lock unaided answer").click()  # tells what is missing
    found["what is missing, at 200 %"] = [*out_of_reach(page), *filter(None, [barriers(page)])]

    for path in ("worklist", f"worklist/display/{images_study.slug}", "account/"):
        page.goto(f"{live_server.url}/{path}")
        found[path] = [*out_of_reach(page), *filter(None, [barriers(page)])]

    assert {state: wrong for state, wrong in found.items() if wrong} == {}


# What moves while the keyboard goes through the form: between press and release of a mouse button
# it would slip away, and nothing would be chosen.
MOVES = """() => {
  const all = [...document.querySelectorAll('.questions button, .questions input')]
  const places = () => all.map(one => {
    const { x, y, width, height } = one.getBoundingClientRect()
    return [x, y, width, height].join()
  })
  document.activeElement.blur()
  const before = places()
  const found = []
  for (const one of all) {
    one.focus({ preventScroll: true })
    places().forEach((place, i) => {
      if (place !== before[i]) found.push(`${all[i].dataset.value}, at ${one.dataset.value}`)
    })
  }
  return found
}"""


def test_a_case_is_answered_by_who_has_neither_viewer_nor_images(
    page: Page, live_server: Any, images_study: Study, log_in: Any
):
    def refuse(route: Route) -> None:
        route.abort()

    log_in("reader")
    page = page.context.new_page()  # one that may say in its console what failed
    page.route("**/assets/create-*", refuse)
    page.route("**/dicomweb/**", refuse)
    page.goto(f"{live_server.url}/worklist")
    page.get_by_role("link", name="Begin with case 1").click()
    expect(page.locator(".banner")).to_contain_text(
        "The viewer could not be loaded. The form can still be used.", timeout=60_000
    )
    assert page.evaluate(MOVES) == []
    malignancy = page.locator("[data-question=malignancy]")
    malignancy.locator("input[data-entry]").fill("x")
    expect(malignancy.get_by_role("alert")).to_be_visible()
    malignancy.locator("[data-value=cannot_assess]").click()
    expect(malignancy.locator("[data-value=cannot_assess]")).to_have_attribute(
        "aria-pressed", "true"
    )

    nodules = Nodule.objects.of_study(images_study).count()
    for number in range(1, nodules + 1):
        page.get_by_role("tab", name=f"Nodule {number}").click()
        fill_in(page, 30 + number)
    page.get_by_role("tab", name="Case").click()
    page.locator("[data-question=image_quality] [data-value=diagnostic]").click()
    page.get_by_role("button", name="Lock unaided answer").click()
    page.get_by_role("button", name="Lock it now").click()

    expect(page.locator(".room")).to_have_attribute("data-stage", "aided", timeout=30_000)
    answer = Answer.objects.get()
    assert answer.ratings.filter(question="malignancy", nodule__isnull=False).count() == nodules
    page.close()
