"""A client of a Reread site's desk: studies, imports, people, progress and downloads.

```python
from reread_client import Client

with Client("https://reread.example.org", token="reread_...") as desk:
    desk.create_study("pilot", template="lidc")
    job = desk.upload("pilot", Path("ct"), nodules=Path("nodules.csv").read_text())
    desk.wait_for_import("pilot", job.id)
    print(desk.invite("pilot", name="rita", role="reader", pseudonym="R01").link)
```
"""

from reread_client.client import Client
from reread_client.errors import Refused, Unreachable
from reread_client.models import (
    Case,
    Checklist,
    Deviation,
    Examination,
    Import,
    Invited,
    Listed,
    Member,
    Nodule,
    PanelNodule,
    PanelTask,
    PatientPoint,
    Place,
    Plan,
    Progress,
    ReaderProgress,
    Study,
    TruthRoom,
)

__all__ = [
    "Case",
    "Checklist",
    "Client",
    "Deviation",
    "Examination",
    "Import",
    "Invited",
    "Listed",
    "Member",
    "Nodule",
    "PanelNodule",
    "PanelTask",
    "PatientPoint",
    "Place",
    "Plan",
    "Progress",
    "ReaderProgress",
    "Refused",
    "Study",
    "TruthRoom",
    "Unreachable",
]
