"""Sentences about nodules, made from their features, to train the text side on."""

import numpy as np

from inference.prompts import FEATURES, phrases

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
WORD_DROP = 0.05
SHORT_SHARE = 0.4


def impression(features: dict[str, str], diameter_mm: float, rng: np.random.Generator) -> str:
    """Describe a nodule as an impression would, or as a few short sentences.

    Words vary, some are dropped, and short sentences also state what is absent, so that
    prompts about absence are not foreign to the model.
    """
    if rng.random() < SHORT_SHARE:
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
        text = str(rng.choice(_SIZED)).format(mm=round(diameter_mm), words=words)
        nouns = [str(rng.choice(_NOUNS[key])) for key in features.items() if key in _NOUNS]
        if nouns:
            text += " " + str(rng.choice(_SHOWN)).format(words=" and ".join(nouns))
    kept = [word for word in text.split() if rng.random() >= WORD_DROP]
    return " ".join(kept) or text


def every_wording() -> list[str]:
    """Return texts that between them hold every word `impression` and prompts may use."""
    texts = [template.format(mm=0, words="pulmonary and") for template in (*_SIZED, *_SHOWN)]
    texts += [str(mm) for mm in range(100)]
    texts += [words for choice in _NOUNS.values() for words in choice]
    texts += [
        f"The nodule is {phrase}, {phrase}."
        for feature, categories in FEATURES.items()
        for category in categories
        for phrase in phrases(feature, category)
    ]
    return texts
