"""Protocols named on the command line."""

from pathlib import Path

from django.core.management.base import CommandError, OutputWrapper

from reader_study.domain.errors import AmendmentRefused, ProtocolInvalid
from reader_study.domain.protocol import Protocol
from reader_study.domain.protocol_file import read_protocol


def read_file(file: Path, errors: OutputWrapper) -> tuple[str, Protocol]:
    """Read the protocol in `file`, as text too; its mistakes are told on `errors`, a line each.

    Raises:
        CommandError: there is none, or it cannot be run.
    """
    try:
        text = file.read_bytes().decode()
        return text, read_protocol(text)
    except OSError as error:
        raise CommandError(f"{file} cannot be opened: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{file} is no text in UTF-8") from None
    except ProtocolInvalid as refusal:
        raise told(file, refusal, errors) from None


def told(
    file: Path, refusal: ProtocolInvalid | AmendmentRefused, errors: OutputWrapper
) -> CommandError:
    """Tell every problem on `errors`, like a compiler; return what ends the command."""
    problems = refusal.more["problems"]
    for problem in problems:
        errors.write(f"{file}:{problem['line']}: {problem['place']}: {problem['detail']}")
    said = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    what = "be run" if isinstance(refusal, ProtocolInvalid) else "be taken by the study"
    return CommandError(f"{said}; the protocol cannot {what}")
