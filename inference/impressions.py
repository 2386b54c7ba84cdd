"""Sentences about nodules, made from their features, to train the text side on."""

import numpy as np

from inference.prompts import FEATURES, PRESENCE, phrases

_UNSIZED = "A {words} nodule."
_SIZED = ("A {mm} mm, {words} nodule.", "{words} nodule measuring {mm} mm.")
_SHOWN = ("The nodule demonstrates {words}.", "The nodule is seen with {words}.")
_ADJECTIVES = ("consistency", "shape", "margin")
_NOUNS = {
    ("margin_conspicuity", "well_marginated"): ("well defined margin", "sharp margin"),
    ("margin_conspicuity", "poorly_marginated"): ("poorly defined margin", "blurred margin"),
    ("pleural_attachment", "present"): ("pleural attachment", "a pleural base"),
    ("pleural_retraction", "present"): ("pleural retraction",),
    ("pleural_retraction", "mild_dimpling"): ("mild pleural dimpling",),
    ("cavitation", "present"): ("cavitation", "a cavity"),
    ("eccentric_calcification", "present"): ("eccentric calcification",),
}
_PLAIN = set(_ADJECTIVES) | {feature for feature, _ in _NOUNS}  # have words of their own
WORD_DROP = 0.05
SHORT_SHARE = 0.4


def impression(
    features: dict[str, str],
    diameter_mm: float,
    rng: np.random.Generator,
    word_drop: float = WORD_DROP,
    short: float = SHORT_SHARE,
) -> str:
    """Describe a nodule as an impression would, or as a few short sentences.

    Words vary, some are dropped, and short sentences also state what is absent, so that
    prompts about absence are not foreign to the model. A diameter that is NaN is not named.
    """
    if features and rng.random() < short:
        chosen = rng.permutation(list(features))[: rng.integers(1, 5)]
        text = " ".join(
            f"The nodule is {rng.choice(phrases(name, features[name]))}." for name in chosen
        )
    else:
        adjectives = [
            str(rng.choice(phrases(name, features[name])))
            for name in _ADJECTIVES
            if name in features and rng.random() < 0.9
        ]
        words = ", ".join(adjectives) or "pulmonary"
        if np.isnan(diameter_mm):
            text = _UNSIZED.format(words=words)
        else:
            text = str(rng.choice(_SIZED)).format(mm=round(diameter_mm), words=words)
        nouns = [str(rng.choice(of)) for key in features.items() if (of := _nouns_of(*key))]
        if nouns:
            text += " " + str(rng.choice(_SHOWN)).format(words=" and ".join(nouns))
    kept = [word for word in text.split() if rng.random() >= word_drop]
    return " ".join(kept) or text


def _nouns_of(feature: str, category: str) -> tuple[str, ...]:
    """Return the ways to say that a nodule has a feature; none where it has not."""
    if feature not in _PLAIN and category == PRESENCE[0]:
        return tuple(phrase.split(" ", 1)[1] for phrase in phrases(feature, category)[1:])
    return _NOUNS.get((feature, category), ())


def every_wording() -> list[str]:
    """Return texts that between them hold every word `impression` and prompts may use."""
    templates = (_UNSIZED, *_SIZED, *_SHOWN)
    texts = [template.format(mm=0, words="pulmonary and") for template in templates]
    texts += [str(mm) for mm in range(100)]
    texts += [words for choice in _NOUNS.values() for words in choice]
    texts += [
        f"The nodule is {phrase}, {phrase}."
        for feature, categories in FEATURES.items()
        for category in categories
        for phrase in phrases(feature, category)
    ]
    return texts
