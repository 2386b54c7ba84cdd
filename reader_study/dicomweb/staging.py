"""Files on their way in: from folders and ZIP archives, grouped by series, within bounds.

Nothing of a file's name is used as a path: a name is what a problem is told by.
"""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pydicom
from pydicom.errors import InvalidDicomError

from reader_study.dicomweb.deidentify import Doubt, Keys, as_file, deidentified, doubts_of
from reader_study.dicomweb.multiframe import slices_of
from reader_study.dicomweb.pixels import tolerant
from reader_study.dicomweb.problems import Problem
from reader_study.dicomweb.profile import Profile
from reader_study.dicomweb.slices import DEFLATED, MOST_BYTES, TOO_LARGE, content_of, is_localizer
from reader_study.dicomweb.uids import is_uid

ZIP_MAGIC: Final = b"PK\x03\x04"
CHUNK: Final = 1 << 20
# A disk that is filled to the brim stops the database, too.
SPARE_BYTES: Final = 500_000_000

Beat = Callable[[str, int, int], None]  # (what is being done, done, in all)


class CannotBringIn(Exception):
    """The import as a whole cannot go on; the text says why and what to do."""


class Bounds(NamedTuple):
    """The most that one import may bring."""

    files: int
    total_bytes: int


class Found(NamedTuple):
    """A file and what its problems are told by."""

    path: Path
    name: str


class Group(NamedTuple):
    """The files of one series: original UIDs."""

    study_uid: str
    series_uid: str
    files: list[Found]


def folder_below(root: Path | None, name: str) -> Path:
    """Return the folder `name` below `root`, which no name and no link leads out of.

    Raises:
        CannotBringIn: there is no such folder, or none may be imported from.
    """
    if root is None:
        raise CannotBringIn("No folder of the server may be imported from: IMPORT_DIR is not set.")
    try:
        top = root.resolve(strict=True)
        folder = (top / name).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise CannotBringIn(f"There is no folder {name[:200]!r}.") from None
    if not folder.is_relative_to(top) or not folder.is_dir():
        raise CannotBringIn(f"There is no folder {name[:200]!r}.")
    return folder


def folders_below(root: Path) -> list[str]:
    """Return the names of the folders in `root`; links and hidden ones are left out."""
    try:
        return sorted(
            entry.name
            for entry in os.scandir(root)
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
        )
    except OSError:
        return []


def files_below(folder: Path) -> Iterator[Found | Problem]:
    """Yield the files of a folder at any depth; links are not followed."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent) / name
            label = str(path.relative_to(folder))
            if name.startswith(".") or name == "DICOMDIR":
                continue
            if path.is_symlink():
                yield Problem("unreadable_file", "is a link, which is not followed", label)
            else:
                yield Found(path, label)


def is_zip(path: Path) -> bool:
    """Tell whether a file is a ZIP archive."""
    with path.open("rb") as file:
        return file.read(4) == ZIP_MAGIC


def must_have_room(folder: Path, wanted: int) -> None:
    """Refuse what the disk has no room for.

    Raises:
        CannotBringIn: it has not.
    """
    free = shutil.disk_usage(folder).free
    if free - wanted < SPARE_BYTES:
        raise CannotBringIn(
            f"The disk of the server has {free / 1e9:.1f} GB free, and {wanted / 1e9:.1f} GB more "
            f"are needed, with {SPARE_BYTES / 1e9:.1f} GB to spare. Make room there and go on."
        )


def unpacked(
    archive: Found, into: Path, bounds: Bounds, beat: Beat
) -> tuple[list[Found], list[Problem]]:
    """Unpack a ZIP archive into `into`, under numbers; what is there already is kept.

    What a member says of its size is not believed: bytes are counted as they come.

    Raises:
        CannotBringIn: it is damaged as a whole, or holds more than an import may bring.
    """
    found: list[Found] = []
    problems: list[Problem] = []
    into.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive.path) as file:
            members = [one for one in file.infolist() if not one.is_dir()]
            if len(members) > bounds.files:
                raise CannotBringIn(
                    f"{archive.name} holds {len(members):,} files; an import brings "
                    f"{bounds.files:,} at most."
                )
            total = 0
            for number, member in enumerate(members):
                beat("unpacking", number, len(members))
                name = f"{archive.name}/{member.filename}"
                target = into / f"{number:06}"
                if not target.exists():
                    whole = bounds.total_bytes / 1e9
                    more = f"{archive.name} unpacks to more than the {whole:g} GB of one import."
                    problem = _unpack(file, member, target, bounds.total_bytes - total, more)
                    if problem:
                        problems.append(Problem(problem[0], problem[1], name))
                        continue
                total += target.stat().st_size
                found.append(Found(target, name))
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise CannotBringIn(f"{archive.name} cannot be unpacked: {error}.") from error
    return found, problems


def _unpack(
    file: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int, too_much: str
) -> tuple[str, str] | None:
    """Unpack one member; return why it cannot be.

    Raises:
        CannotBringIn: it is more than the `left` bytes; the text is `too_much`.
    """
    if member.flag_bits & 1:
        return "unreadable_file", "is encrypted; unpack it before"
    partly = target.with_suffix(".part")
    written = 0
    try:
        must_have_room(target.parent, min(member.file_size, MOST_BYTES))
        with file.open(member) as source, partly.open("wb") as sink:
            while chunk := source.read(CHUNK):
                written += len(chunk)
                if written > MOST_BYTES:
                    return "too_large", TOO_LARGE
                if written > left:
                    raise CannotBringIn(too_much)
                sink.write(chunk)
        partly.replace(target)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        return "unreadable_file", f"is damaged inside of its archive ({error})"
    except OSError as error:
        if error.errno is not None:
            raise  # of the disk
        return "unreadable_file", f"is damaged inside of its archive ({error})"
    except CannotBringIn:
        raise
    except Exception as error:  # noqa: BLE001  zlib and lzma have errors of their own
        return "unreadable_file", f"is damaged inside of its archive ({error})"
    finally:
        partly.unlink(missing_ok=True)
    return None


_SAID = ["StudyInstanceUID", "SeriesInstanceUID", "Modality", "ImageType", "SOPClassUID"]


def series_of(file: Found) -> tuple[str, str] | Problem:
    """Return study and series UID of a CT image by its header; what is none is a problem."""
    try:
        if file.path.stat().st_size > MOST_BYTES:
            return Problem("too_large", TOO_LARGE, file.name)
        with file.path.open("rb") as opened:
            beginning = opened.read(1000)
        source: Path | io.BytesIO = file.path
        if DEFLATED in beginning:
            content = content_of(file.path, file.name)
            if isinstance(content, Problem):
                return content
            source = io.BytesIO(content)
        with tolerant():
            header = pydicom.dcmread(source, stop_before_pixels=True, specific_tags=_SAID)
            modality = str(header.get("Modality", ""))
            uids = (str(header.get(_SAID[0], "")), str(header.get(_SAID[1], "")))
            scout = is_localizer(header)
    except InvalidDicomError:
        return Problem("not_dicom", "is not a DICOM file", file.name)
    except OSError as error:
        return Problem("unreadable_file", f"cannot be opened: {error.strerror}", file.name)
    except Exception:  # noqa: BLE001  damaged bytes raise anything
        return Problem("not_dicom", "is a damaged DICOM file", file.name)
    if modality != "CT":
        return Problem("other_modality", f"is {modality[:16] or 'no image'}, not CT", file.name)
    if scout:
        return Problem("localizer", "is a localizer (scout) image", file.name)
    if not all(map(is_uid, uids)):
        return Problem("bad_uid", "has no usable study, series and SOP instance UID", file.name)
    return uids


def grouped(files: list[Found], beat: Beat) -> tuple[list[Group], list[Problem]]:
    """Sort files by their series; what is no CT image is a problem."""
    groups: dict[str, Group] = {}
    problems: list[Problem] = []
    for number, file in enumerate(files):
        beat("reading headers", number, len(files))
        uids = series_of(file)
        if isinstance(uids, Problem):
            problems.append(uids)
        else:
            study, series = uids
            groups.setdefault(series, Group(study, series, [])).files.append(file)
    return list(groups.values()), problems


def keep(path: Path, groups: list[Group]) -> None:
    """Write down what was found, whole or not at all."""
    said = [
        [one.study_uid, one.series_uid, [[str(file.path), file.name] for file in one.files]]
        for one in groups
    ]
    partly = path.with_suffix(".part")
    partly.write_text(json.dumps(said))
    partly.replace(path)


def kept(path: Path) -> list[Group]:
    """Read what `keep` wrote."""
    return [
        Group(study, series, [Found(Path(where), name) for where, name in files])
        for study, series, files in json.loads(path.read_text())
    ]


def cleaned(
    content: bytes, profile: Profile | None, keys: Keys, *, looked: bool = False
) -> tuple[bytes, list[Doubt]]:
    """Return the bytes of a file as they will be stored, and why to look at its image before.

    `looked` says that somebody has, and found nothing; without a profile headers stay as they are.
    What damaged bytes raise is raised.
    """
    with tolerant():
        dataset = pydicom.dcmread(io.BytesIO(content))
        doubts = doubts_of(dataset)
        if profile is None:
            # It is said to tell of nobody, and a derived image is not yet what a screen showed.
            doubts = [doubt for doubt in doubts if doubt.code != "secondary"]
        else:
            dataset = deidentified(dataset, profile, keys)
        if looked:
            dataset.BurnedInAnnotation = "NO"
        return (content if profile is None and not looked else as_file(dataset)), doubts


def clean_folder(
    folder: Path, into: Path, profile: Profile, keys: Keys, besides: Path, beat: Beat | None
) -> list[Problem]:
    """Write the CT images of a folder into another one, de-identified; return what is left out.

    An image that may show who the patient is is left out, since here nobody looks at it.
    """
    problems: list[Problem] = []
    listed = [one for one in files_below(folder) if folder / _name(one) != besides]
    for number, file in enumerate(listed):
        if beat:
            beat("de-identifying", number, len(listed))
        if isinstance(file, Problem):
            problems.append(file)
            continue
        found = series_of(file)
        content = found if isinstance(found, Problem) else content_of(file.path, file.name)
        if isinstance(content, Problem):
            problems.append(content)
            continue
        parts = slices_of(content, file.name)
        if isinstance(parts, Problem):
            problems.append(parts)
            continue
        try:
            for part, one in enumerate(parts):
                made, doubts = cleaned(one, profile, keys)
                if doubts:
                    said = f"{doubts[0].detail}; bring it in through the browser, to be looked at"
                    problems.append(Problem("burned_in", said, file.name))
                else:
                    (into / f"{number:06}_{part:05}.dcm").write_bytes(made)
        except Exception:  # noqa: BLE001  damaged bytes raise anything
            problems.append(Problem("not_dicom", "is a damaged DICOM file", file.name))
    return problems


def _name(one: Found | Problem) -> str:
    return one.where if isinstance(one, Problem) else one.name
