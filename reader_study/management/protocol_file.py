"""Protocols named on the command line."""

from pathlib import Path

from django.core.management.base import CommandError, OutputWrapper

from reader_study.domain.errors import ProtocolInvalid
from reader_study.domain.protocol import Protocol
from reader_study.domain.protocol_file import read_protocol


def read_file(file: Path, errors: OutputWrapper) -> Protocol:
    """Read the protocol in `file`; its mistakes are told on `errors`, a line each.

    Raises:
        CommandError: there is none, or it cannot be run.
    """
    try:
        return read_protocol(file.read_bytes().decode())
    except OSError as error:
        raise CommandError(f"{file} cannot be opened: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{file} is no text in UTF-8") from None
    except ProtocolInvalid as refusal:
        problems = refusal.more["problems"]
        for problem in problems:
            errors.write(f"{file}:{problem['line']}: {problem['place']}: {problem['detail']}")
        said = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        raise CommandError(f"{said}; the protocol cannot be run") from None
