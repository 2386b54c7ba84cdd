"""Messages exchanged with the inference worker."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

PREDICT = "inference.predict"

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Triple = tuple[Finite, Finite, Finite]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Message(BaseModel):
    # A newer worker may say more than this site knows.
    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class Request(_Message):
    """What to predict: one nodule, by its series and its place in LPS millimetres."""

    model: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    nodule_mm: Triple


class CalibrationPoint(_Message):
    """Held out nodules with probabilities from `low` to `high`, and what came true of them."""

    low: Probability
    high: Probability
    n: int
    mean_probability: Probability
    share: Probability
    lower: Probability
    upper: Probability


class Model(_Message):
    """The model version that answered."""

    name: str
    version: str
    hash: Sha256
    weights_hash: Sha256
    code_hash: Sha256
    demonstration: bool
    title: str
    notice: str
    backbone: str
    token_mm: float
    calibration: list[CalibrationPoint] = []
    calibration_truth: str = ""


class Plane(_Message):
    """One of the nine planes of the input, placed in the patient, and its relevance.

    `row` and `column` are unit vectors as in ImageOrientationPatient: `row` points along
    increasing column index. `relevance` is a grid of cells of `cell_mm`, centred on
    `centre_mm`.
    """

    name: str
    weight: Finite
    centre_mm: Triple
    row: Triple
    column: Triple
    cell_mm: Annotated[float, Field(gt=0)]
    relevance: list[list[Finite]]


class Faithfulness(_Message):
    """How far the score falls when the most relevant tissue is deleted, and a random one."""

    deletion_drop: Finite
    random_drop: Finite


class Similar(_Message):
    """A nodule of the model's reference set: nearest ones first.

    `distance` is one less the cosine of the embeddings; `thumbnail` a PNG in base64.
    """

    id: str
    distance: Annotated[float, Field(ge=0, le=2.001, allow_inf_nan=False)]
    malignant: bool
    truth: str
    diameter_mm: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    thumbnail: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+=*$", max_length=40_000)]


class Likeness(_Message):
    """How far a nodule lies from those the model was trained on."""

    distance: Finite
    unlike_above: Finite
    unlike: bool


class Done(_Message):
    """The prediction of one nodule; what a system does not say of it is empty."""

    status: Literal["done"]
    model: Model
    input_hash: Sha256
    probability_raw: Probability
    probability: Probability
    semantic: dict[str, dict[str, Probability]] = {}
    planes: list[Plane] = []
    relevance_scale: Finite = 0
    faithfulness: Faithfulness | None = None
    embedding: list[Finite] = []
    similar: list[Similar] = []
    likeness: Likeness | None = None
    inputs: dict[str, bool | float | str] = {}  # what a clinical model was computed from
    device: str = ""
    seconds: float = 0


class Failed(_Message):
    """Why there is no prediction of a nodule."""

    status: Literal["failed"]
    code: str
    detail: str


Result = Annotated[Done | Failed, Field(discriminator="status")]
_RESULT: TypeAdapter[Done | Failed] = TypeAdapter(Result)


def parse_result(message: Any) -> Done | Failed:
    """Read the worker's answer.

    Raises:
        pydantic.ValidationError: it is not one.
    """
    return _RESULT.validate_python(message)


class SelfTest(_Message):
    """How far a model's scores are from those kept with it."""

    nodules: Annotated[int, Field(ge=1)]
    score_differs_by: Finite
    embedding_differs_by: Finite
    tolerance: Finite
    passed: bool


class Registration(_Message):
    """What `python -m inference.selftest` says of a model."""

    model: Model
    input: dict[str, Any]
    selftest: SelfTest


def parse_registration(message: Any) -> Registration:
    """Read what the self-test printed.

    Raises:
        pydantic.ValidationError: it is not that.
    """
    return Registration.model_validate(message)
