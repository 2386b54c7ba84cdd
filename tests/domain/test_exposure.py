"""The exposure ledger."""

from hypothesis import given

from reader_study.domain.exposure import Exposure, exposures
from tests.domain.test_clock import readings, script

SCORE_1 = {"nodule": 1, "artefact": "score"}
SALIENCY_1 = {"nodule": 1, "artefact": "saliency"}
SCORE_2 = {"nodule": 2, "artefact": "score"}


def test_an_aided_reading_as_rows():
    told = script(
        (10, "ai_shown", SCORE_1),
        (12, "ai_shown", SALIENCY_1),
        (20, "ai_hidden", SALIENCY_1),
        (30, "ai_hidden", SCORE_1),
        (30, "ai_shown", SCORE_2),
        (41, "hidden"),
        (41, "ai_hidden", SCORE_2),
        stage="aided",
    )

    assert exposures(reversed(told + told)) == [
        Exposure("p1", "aided", 1, "score", 10_000, 30_000, True),
        Exposure("p1", "aided", 1, "saliency", 12_000, 20_000, True),
        Exposure("p1", "aided", 2, "score", 30_000, 41_000, True),
    ]


def test_what_nobody_saw_end_lasts_until_the_last_that_is_known_of_the_page():
    told = script((1, "ai_shown", SCORE_1), (9, "slice"), stage="aided")
    told += script((2, "ai_shown", SCORE_1), (3, "ai_hidden", SCORE_1), page="p2", stage="aided")

    assert [(e.until_ms, e.ended) for e in exposures(told)] == [(9000, False), (3000, True)]


@given(readings)
def test_no_exposure_ends_before_it_begins(events):
    told = [e._replace(data={**e.data, **SCORE_1}) for e in events]

    for exposure in exposures(told):
        assert exposure.from_ms <= exposure.until_ms
