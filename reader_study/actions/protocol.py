"""The versions of a study's protocol: the first, and those that amend it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction

from reader_study.actions.deviations import record_deviation
from reader_study.actions.locked import must_not_be_locked
from reader_study.domain.amendment import Change, Phase, changes, refused
from reader_study.domain.deviation import Kind
from reader_study.domain.errors import AmendmentRefused
from reader_study.domain.mistakes import Place
from reader_study.domain.protocol import parse_protocol, problems_of, protocol_hash
from reader_study.domain.reading import Stage
from reader_study.models import ProtocolVersion, Reading, Study, User

REASON_LIMIT = 1000


def first_version(*, study: Study, source: str, by: User | None, now: datetime) -> ProtocolVersion:
    """Note the protocol that a study begins with."""
    return ProtocolVersion.objects.create(
        study=study,
        number=1,
        protocol=study.protocol,
        hash=study.protocol_hash,
        source=source,
        by=by,
        at=now,
    )


def version_in_force(study: Study) -> ProtocolVersion:
    """Return the last version, and let no other come until this transaction has ended."""
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    return ProtocolVersion.objects.filter(study=study).latest("number")


def phase_of(study: Study) -> Phase:
    """Tell how far `study` is."""
    if study.allocated_at is None:
        return Phase.DRAFT
    begun = Reading.objects.of_study(study).exclude(stage=Stage.ASSIGNED)
    return Phase.BEGUN if begun.exists() else Phase.ALLOCATED


@transaction.atomic
def amend_protocol(
    *,
    study: Study,
    document: Mapping[str, Any],
    reason: str,
    by: User | None,
    now: datetime,
    source: str = "",
    lines: Mapping[Place, int] | None = None,
) -> ProtocolVersion:
    """Put another protocol in force; readings that have begun go on under theirs.

    Before the cases are dealt out it may be any protocol; afterwards one that leaves the plan
    as it is, for a reason. The protocol that is in force already makes no new version. `lines`
    tells where the parts of `source` are.

    Raises:
        ProtocolInvalid: the protocol cannot be run.
        AmendmentRefused: there is no reason, or the study cannot change in that way any more;
            with a problem per change: its place, and why not.
        StudyLocked: the database of the study is locked.
    """
    protocol = parse_protocol(document)
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    must_not_be_locked(study)
    last = ProtocolVersion.objects.filter(study=study).latest("number")
    digest = protocol_hash(protocol)
    phase, reason = phase_of(study), reason.strip()
    # A draft keeps how it is written, comments included.
    rewritten = phase is Phase.DRAFT and source not in ("", last.source)
    if digest == last.hash and not rewritten:
        return last
    if mistakes := refused(last.rules, protocol, phase):
        problems = problems_of(mistakes, lines)
        told = "; ".join(f"{p['place']}: {p['detail']}" for p in problems)
        raise AmendmentRefused(f"The study cannot change in this way: {told}", problems=problems)
    if len(reason) > REASON_LIMIT or (not reason and phase is not Phase.DRAFT):
        raise AmendmentRefused(
            f"A reason of at most {REASON_LIMIT} characters is needed.", problems=[]
        )
    study.title = protocol.title
    study.protocol, study.protocol_hash = protocol.model_dump(mode="json"), digest
    study.save(update_fields=["title", "protocol", "protocol_hash"])
    if phase is Phase.BEGUN:
        places = sorted({".".join(map(str, each.place)) for each in changes(last.rules, protocol)})
        record_deviation(
            study=study,
            kind=Kind.AMENDMENT,
            now=now,
            reason=reason,
            version=last.number + 1,
            changed=", ".join(places),
        )
    return ProtocolVersion.objects.create(
        study=study,
        number=last.number + 1,
        protocol=study.protocol,
        hash=digest,
        source=source,
        phase=phase,
        reason=reason,
        by=by,
        at=now,
    )


class Version(NamedTuple):
    """A version with what it changed of the one before."""

    version: ProtocolVersion
    changes: list[Change]

    @property
    def plan_changed_late(self) -> bool:
        """Whether the analysis plan was changed after the first reading had begun."""
        late = self.version.phase == Phase.BEGUN
        return late and any(change.place[0] == "analysis" for change in self.changes)


def history(study: Study) -> list[Version]:
    """Return the versions of a study's protocol, the first one first."""
    found = []
    before = None
    for version in ProtocolVersion.objects.filter(study=study).select_related("by"):
        rules = version.rules
        found.append(Version(version, changes(before, rules) if before else []))
        before = rules
    return found
