"""The semantic features, their categories, and the sentences that stand for them."""

from pydantic import BaseModel, ConfigDict, RootModel, model_validator

PRESENCE = ("present", "absent")

FEATURES: dict[str, tuple[str, ...]] = {
    "margin_conspicuity": ("well_marginated", "poorly_marginated"),
    "margin": ("smooth", "lobulated", "spiculated"),
    "shape": ("round", "ovoid", "polygonal", "irregular"),
    "consistency": ("solid", "part_solid", "ground_glass"),
    "pleural_attachment": PRESENCE,
    "pleural_retraction": ("present", "mild_dimpling", "absent"),
    "reticulation": PRESENCE,
    "cyst_like_spaces": PRESENCE,
    "intranodular_bronchiectasis": PRESENCE,
    "necrosis": PRESENCE,
    "cavitation": PRESENCE,
    "eccentric_calcification": PRESENCE,
    "airway_cut_off": PRESENCE,
    "vascular_convergence": PRESENCE,
    "septal_stretching": PRESENCE,
    "paracicatricial_emphysema": PRESENCE,
}


class Prompts(RootModel[dict[str, dict[str, list[str]]]]):
    """Feature -> category -> sentences; a category's sentences are an ensemble."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _every_category_has_sentences(self) -> "Prompts":
        for feature, categories in self.root.items():
            if feature not in FEATURES:
                raise ValueError(f"{feature} is no semantic feature")
            if set(categories) != set(FEATURES[feature]):
                raise ValueError(f"{feature} has the categories {', '.join(FEATURES[feature])}")
            if not all(categories.values()):
                raise ValueError(f"a category of {feature} has no sentence")
        return self


class Validity(BaseModel):
    """How well prompts tell a feature's categories apart on nodules held out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auroc: float  # one category against the rest, weighted by prevalence
    interval: tuple[float, float]  # 95 %, by bootstrap
    n: int
    valid: bool  # the interval, of validation and test nodules, lies above 0.5


# Only the pair on margination is confirmed for the published model; the others are ours.
_SENTENCES: dict[str, dict[str, str]] = {
    "margin_conspicuity": {
        "well_marginated": "well marginated|sharply defined",
        "poorly_marginated": "poorly marginated|ill defined",
    },
    "margin": {
        "smooth": "smooth in margin|smoothly marginated",
        "lobulated": "lobulated in margin|lobulated",
        "spiculated": "spiculated in margin|spiculated",
    },
    "shape": {
        "round": "round|spherical",
        "ovoid": "ovoid|oval",
        "polygonal": "polygonal|angular",
        "irregular": "irregular|complex in shape",
    },
    "consistency": {
        "solid": "solid|solid in consistency",
        "part_solid": "part-solid|part-solid in consistency",
        "ground_glass": "pure ground glass|ground glass in consistency",
    },
    "pleural_attachment": {
        "present": "attached to the pleura|abutting the pleura",
        "absent": "not attached to the pleura|surrounded by lung",
    },
    "pleural_retraction": {
        "present": "retracting the pleura|seen with pleural retraction",
        "mild_dimpling": "seen with mild pleural dimpling|mildly dimpling the pleura",
        "absent": "seen without pleural retraction|not retracting the pleura",
    },
}


def phrases(feature: str, category: str) -> tuple[str, ...]:
    """Return the ways to end "The nodule is ..." for a category."""
    if feature in _SENTENCES:
        return tuple(_SENTENCES[feature][category].split("|"))
    name = feature.replace("_", " ").replace("cyst like", "cyst-like").replace("cut off", "cut-off")
    if category == "present":
        return (f"seen with {name}", f"showing {name}")
    return (f"seen without {name}", f"free of {name}")


def default_prompts() -> Prompts:
    """Return the sentences a model starts with; validate them before showing their answers."""
    return Prompts(
        {
            feature: {
                category: [f"The nodule is {phrase}." for phrase in phrases(feature, category)]
                for category in categories
            }
            for feature, categories in FEATURES.items()
        }
    )
