"""`manage.py rehearse`: a whole study by simulated readers, of which nothing stays."""

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.utils import timezone

from reader_study.models import Case, Record, Study
from reader_study.results.__main__ import main as remake
from tests.domain.designs import CROSSOVER
from tests.factories import DEMONSTRATION, NOW, a_protocol

pytestmark = pytest.mark.django_db


def test_a_protocol_is_read_signed_and_exported_and_nothing_stays(tmp_path, capsys):
    file = tmp_path / "protocol.yaml"
    design = {**CROSSOVER, "training": {"cases": 1}}
    file.write_text(yaml.safe_dump(a_protocol(design=design, conduct={"signature": "required"})))
    honest = timezone.now

    call_command("rehearse", file, "--readers=1", "--cases=2")

    said = capsys.readouterr().out
    # A training case under one arm or both, then two cases under each.
    assert "1 readers, 2 cases, " in said
    assert "2 signatures in 29 days" in said
    assert "records hold; everything was taken back" in said
    assert "\nstudy,protocol_hash,reader,case," in said
    assert (Study.objects.count(), Case.objects.count(), Record.objects.count()) == (0, 0, 0)
    assert timezone.now is honest


def test_the_archive_of_a_rehearsal_gives_its_results_again(tmp_path, capsys):
    archive = tmp_path / "rehearsal.zip"

    call_command("rehearse", DEMONSTRATION, "--readers=2", "--cases=4", "--archive", str(archive))

    assert remake([str(archive), str(tmp_path / "again")]) == 0
    assert "each the same as in the archive, byte for byte" in capsys.readouterr().out
    assert (tmp_path / "again" / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert Study.objects.count() == 0


def test_readers_mark_what_they_find_where_they_search(capsys):
    call_command(
        "rehearse", DEMONSTRATION.parent / "free_response.yaml", "--readers=1", "--cases=3"
    )

    assert "3 readings with 6 answers" in capsys.readouterr().out


def test_a_study_without_readers_cannot_be_rehearsed_by_none(tmp_path):
    file = tmp_path / "protocol.yaml"
    file.write_text(yaml.safe_dump(a_protocol()))
    with pytest.raises(CommandError, match="at least one reader and two cases"):
        call_command("rehearse", file, "--readers=2", "--cases=1")
    assert timezone.now() > NOW
