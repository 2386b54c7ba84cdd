"""Reporting checklists, filled in as far as the study itself knows the answer.

The items are told in our words. CLAIM: Tejani AS et al. Radiol Artif Intell 2024;6:e240300.
STARD-AI: Sounderajah V et al. Nat Med 2025, on the items of STARD 2015 (Bossuyt PM et al. BMJ
2015;351:h5527). DECIDE-AI: Vasey B et al. Nat Med 2022;28:924-933.
"""

from typing import NamedTuple

OPEN = "For the authors."


class Item(NamedTuple):
    """An item, and the key of what the study knows of it; empty: nothing."""

    number: str
    asks: str
    key: str = ""


class Checklist(NamedTuple):
    """A checklist with its title."""

    title: str
    items: tuple[Item, ...]


def _items(text: str) -> tuple[Item, ...]:
    found = []
    for line in text.strip().splitlines():
        number, asks, key = (part.strip() for part in line.split("|"))
        found.append(Item(number, asks, key))
    return tuple(found)


CLAIM = Checklist(
    "CLAIM, update of 2024",
    _items("""
    1 | Title names the AI technology |
    2 | Structured abstract |
    3 | Background; intended use and clinical role |
    4 | Aims and hypotheses | hypotheses
    5 | Prospective or retrospective |
    6 | Goal of the study | design
    7 | Sources of data |
    8 | Criteria of inclusion and exclusion |
    9 | Preprocessing of data |
    10 | Selection of subsets of data | subsets
    11 | De-identification | pseudonyms
    12 | Missing data | missing
    13 | Acquisition of the images |
    14 | How the reference standard was obtained | reference
    15 | Why this reference standard |
    16 | Source of annotations; qualification of annotators | reference
    17 | Annotation of the test set | reference
    18 | Variability between and within raters | agreement
    19 | How data were assigned to partitions | partitions
    20 | Level at which partitions are disjoint | partitions
    21 | Intended sample size | numbers
    22 | The model, in detail | model
    23 | Software, libraries, packages | software
    24 | Initialisation of parameters |
    25 | Training |
    26 | Selection of the final model |
    27 | Ensembles |
    28 | Metrics of performance | metrics
    29 | Measures of significance and uncertainty | statistics
    30 | Robustness and sensitivity | sensitivity
    31 | Explainability, and whether it holds | explained
    32 | Evaluation on internal data |
    33 | Testing on external data |
    34 | Registration of the trial |
    35 | Numbers included and excluded | flow
    36 | Characteristics of the patients |
    37 | Performance with uncertainty | results
    38 | Diagnostic accuracy and its precision | results
    39 | Analysis of failures | failures
    40 | Limitations |
    41 | Implications for practice |
    42 | Full protocol | protocol
    43 | Availability of software, model, data | availability
    44 | Funding |
    """),
)

STARD_AI = Checklist(
    "STARD-AI, by the numbers of STARD 2015",
    _items("""
    1 | Title or abstract names a measure of accuracy, and the AI |
    2 | Structured abstract |
    3 | Background; intended use and clinical role of the AI |
    4 | Objectives and hypotheses | hypotheses
    5 | Data collected before or after the index test |
    6 | Eligibility; of the data given to the AI too |
    7 | How participants were identified |
    8 | Where and when |
    9 | Consecutive, random or convenience series |
    10a | Index test: the AI, its version, input and output, and the readers | model
    10b | Reference standard | reference
    11 | Why this reference standard |
    12a | Thresholds of the index test, fixed beforehand or explored | thresholds
    12b | Categories of the reference standard | reference
    13a | What readers of the index test knew | blinding
    13b | What assessors of the reference standard knew |
    14 | Methods of estimating and comparing accuracy | statistics
    15 | Indeterminate results | missing
    16 | Missing data; failures of the AI | missing
    17 | Variability, pre-specified or explored; groups of patients | subsets
    18 | Intended sample size | numbers
    19 | Flow of participants | flow
    20 | Characteristics of participants |
    21a | Severity in those with the condition | cases
    21b | Other diagnoses in those without |
    22 | Time between index test and reference standard |
    23 | Cross tabulation of index test and reference standard | results
    24 | Accuracy and its precision | results
    25 | Adverse events |
    26 | Limitations; bias and applicability of the AI |
    27 | Implications; intended use |
    28 | Registration |
    29 | Full protocol | protocol
    30 | Funding; availability of code and data | availability
    """),
)

DECIDE_AI = Checklist(
    "DECIDE-AI, 2022",
    _items("""
    1 | Title: early clinical evaluation of an AI |
    I | Structured abstract |
    2a | Condition, current practice, intended patients |
    2b | Intended users, place in care, potential impact |
    II | Objectives | hypotheses
    III | Protocol, registration, ethics | protocol
    3a | Recruitment of patients; their number | numbers
    3b | Recruitment of users; their number | numbers
    3c | How users were made familiar with the AI | training
    4a | The AI: version, algorithm, training data, performance | model
    4b | Input data, their acquisition and processing |
    4c | Output, and how it was shown to users | shown
    5a | Setting |
    5b | Workflow; how the AI took part in decisions | design
    IV | Outcomes | metrics
    6a | How errors of the AI were identified | failures
    6b | Risks to patients |
    7 | Human factors: methods | reliance
    8 | Ethics, such as fairness |
    V | Statistical analysis | statistics
    VI | Involvement of patients |
    9a | Characteristics of patients |
    9b | Characteristics of users |
    10a | Exposure of users to the AI, adherence | exposure
    10b | Changes of the workflow by the AI | time
    VII | Main results | results
    VIII | Subgroups | subsets
    11 | Modifications of the AI during the study | frozen
    12 | Agreement of users and AI | reliance
    13a | Errors and malfunctions of the AI | failures
    13b | Harm observed |
    14a | Usability |
    14b | Learning of the users | learning
    15 | Whether results support the intended use |
    16 | Safety |
    IX | Strengths and limitations |
    17 | Availability of data | availability
    X | Conflicts of interest |
    """),
)

CHECKLISTS = (CLAIM, STARD_AI, DECIDE_AI)


def filled(checklist: Checklist, answers: dict[str, str]) -> list[list[str]]:
    """Return a row an item: its number, what it asks, and what the study knows of it."""
    return [
        [item.number, item.asks, answers.get(item.key, OPEN) if item.key else OPEN]
        for item in checklist.items
    ]
