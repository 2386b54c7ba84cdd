"""Marks and measurements as DICOM structured reports: TID 1500, a report a locked answer.

UIDs of study, images and frame of reference are the archive's own, so that an archive or a viewer
can show a report on its images; that makes it a file for the coordinator. Who read is a
pseudonym, and so is the patient, unless the archive's identity is asked for.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from reader_study.dicomweb.archive import Archive
from reader_study.dicomweb.geometry import normal_of
from reader_study.dicomweb.voxels import Grid, hu_in_ellipse
from reader_study.domain.measuring import Tool, values
from reader_study.domain.questionnaire import Question
from reader_study.models import Answer, Case, Nodule, Series, Study

# Questions and their options are named by the study's protocol.
SCHEME = "99REREAD"
NODULE = Code("27925004", "SCT", "Nodule")
LUNG = Code("39607008", "SCT", "Lung")
CT_OF_CHEST = Code("169069000", "SCT", "CT of chest")
LENGTH = Code("410668003", "SCT", "Length")
LONG_AXIS = Code("103339001", "SCT", "Long axis")
SHORT_AXIS = Code("103340004", "SCT", "Short axis")
DIAMETER = Code("81827009", "SCT", "Diameter")
AREA = Code("42798000", "SCT", "Area")
ATTENUATION = Code("112031", "DCM", "Attenuation Coefficient")
MEAN, SD, LEAST, MOST = (
    Code("373098007", "SCT", "Mean"),
    Code("386136009", "SCT", "Standard Deviation"),
    Code("255605001", "SCT", "Minimum"),
    Code("56851009", "SCT", "Maximum"),
)
MM, MM2 = Code("mm", "UCUM", "millimeter"), Code("mm2", "UCUM", "square millimeter")
HU = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
ONE = Code("1", "UCUM", "no units")

Group = sr.PlanarROIMeasurementsAndQualitativeEvaluations | sr.MeasurementsAndQualitativeEvaluations

# What a header says of the patient and the examination.
IDENTITY = {
    "PatientName": "PN",
    "PatientID": "LO",
    "PatientBirthDate": "DA",
    "PatientSex": "CS",
    "AccessionNumber": "SH",
    "ReferringPhysicianName": "PN",
    "StudyID": "SH",
    "StudyDate": "DA",
    "StudyTime": "TM",
}


class Images(NamedTuple):
    """A series and its headers, in the order of the third axis of its volume."""

    series: Series
    headers: Sequence[dict[str, Any]]

    def near(self, points: Iterable[Sequence[float]]) -> list[int]:
        """Return which images points lie on."""
        places = np.array([h["00200032"]["Value"] for h in self.headers], dtype=np.float64)
        normal = normal_of(self.headers[0]["00200037"]["Value"])  # a tilted gantry shears the rest
        along = places @ normal
        return sorted({int(np.abs(along - np.dot(point, normal)).argmin()) for point in points})


def reports(
    study: Study, archive: Archive, *, as_in_archive: bool = False
) -> Iterator[tuple[str, Dataset]]:
    """Yield a name and a report for every answer that counts with a mark or a measurement.

    Raises:
        ArchiveUnavailable, NotInArchive: the headers of a case cannot be had.
    """
    answers = (
        Answer.objects.current()
        .filter(reading__reader__study=study)
        .select_related("reading__reader__study", "reading__version", "reading__case")
        .order_by("reading__case_id", "pk")
    )
    images: dict[int, Images] = {}
    last: Case | None = None
    nodules = {str(nodule.pk): nodule for nodule in Nodule.objects.of_study(study)}
    # Under an amended protocol other things may have been asked.
    asked: dict[str, Mapping[str, Question]] = {}
    of_case: dict[int, list[Series]] = {}
    for series in Series.objects.filter(case__study=study).by_examination():
        of_case.setdefault(series.case_id, []).append(series)
    for answer in answers.iterator(500):
        form = answer.answers
        if not form.get("marks") and not form.get("measurements"):
            continue
        case = answer.reading.case
        if case != last:
            images = {
                each.pk: Images(each, archive.series_metadata(each.study_uid, each.series_uid))
                for each in of_case[case.pk]
            }
            last = case
        reading = answer.reading
        if answer.protocol_hash not in asked:
            form_of_a_mark = reading.rules.questionnaire.of_a_mark
            asked[answer.protocol_hash] = {question.name: question for question in form_of_a_mark}
        questions = asked[answer.protocol_hash]
        report = _Report(questions, answer, images, nodules, archive, as_in_archive).make()
        parts = (reading.reader.pseudonym, case.pseudonym, str(reading.session), answer.stage)
        name = "_".join(part.replace(" ", "-") for part in parts)
        yield f"{name}_{answer.pk}.dcm", report


class _Report:
    def __init__(
        self,
        questions: Mapping[str, Question],
        answer: Answer,
        images: Mapping[int, Images],
        nodules: Mapping[str, Nodule],
        archive: Archive,
        as_in_archive: bool,
    ) -> None:
        self.form = answer.answers
        self.answer, self.images, self.nodules = answer, images, nodules
        self.archive, self.as_in_archive = archive, as_in_archive
        self.questions = questions
        self.evidence: dict[str, Dataset] = {}
        reading = answer.reading
        self.session = f"session {reading.session}, {reading.arm}, {answer.stage}"

    def make(self) -> Dataset:
        groups: list[Group] = [
            self._mark(number, mark)
            for number, mark in enumerate(self.form.get("marks", []), start=1)
        ]
        groups += [self._measured(each) for each in self.form.get("measurements", [])]
        self._belong_to_what_was_read()
        reading = self.answer.reading
        whose = (next(iter(self.images.values())).series.series_uid, reading.opened_at, reading.pk)
        observer = sr.ObserverContext(
            observer_type=codes.DCM.Person,
            observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(
                name=f"{reading.reader.pseudonym}^"
            ),
        )
        content = sr.MeasurementReport(
            observation_context=sr.ObservationContext(observer_person_context=observer),
            procedure_reported=CT_OF_CHEST,
            imaging_measurements=groups,
            title=codes.DCM.ImagingMeasurementReport,
        )
        report = sr.Comprehensive3DSR(
            evidence=list(self.evidence.values()),
            content=content,
            series_instance_uid=_uid("series", *whose),
            series_number=9000,
            series_description="Marks and measurements of a reader",
            sop_instance_uid=_uid("report", *whose, self.answer.pk),
            instance_number=self.answer.pk,
            manufacturer="Reread",
            manufacturer_model_name="Reread",
            software_versions="1",
            device_serial_number="1",
            is_complete=True,
            is_final=True,
        )
        locked = self.answer.locked_at
        for element in ("Content", "InstanceCreation", "Series"):
            setattr(report, f"{element}Date", locked.strftime("%Y%m%d"))
            setattr(report, f"{element}Time", locked.strftime("%H%M%S"))
        report.TimezoneOffsetFromUTC = "+0000"
        return report

    def _mark(self, number: int, mark: Mapping[str, Any]) -> Group:
        images = self._looked_at(mark["series"], [mark["point_mm"]])
        measurements, evaluations = self._ratings(mark["answers"])
        return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_region=_region(
                sr.GraphicTypeValues3D.POINT, [mark["point_mm"]], images.series
            ),
            tracking_identifier=_tracking(mark["id"], f"Mark {number}"),
            finding_type=NODULE,
            finding_sites=[sr.FindingSite(LUNG)],
            session=self.session,
            measurements=measurements,
            qualitative_evaluations=evaluations,
        )

    def _ratings(
        self, answers: Mapping[str, Any]
    ) -> tuple[list[sr.Measurement], list[sr.QualitativeEvaluation]]:
        """Put answers on a mark into words of DICOM; texts and what cannot be assessed are left."""
        measurements, evaluations = [], []
        for name, answer in answers.items():
            question, value = self.questions[name], answer.get("value")
            concept = Code(name.upper()[:16], SCHEME, question.label[:64])
            if isinstance(value, int | float) and not isinstance(value, bool):
                unit = MM if question.unit == "mm" else ONE
                measurements.append(sr.Measurement(concept, float(value), unit))
            elif question.options and value is not None:
                for each in value if isinstance(value, list) else [value]:
                    evaluations.append(sr.QualitativeEvaluation(concept, _option(question, each)))
        return measurements, evaluations

    def _measured(self, one: Mapping[str, Any]) -> Group:
        kind, points = Tool(one["kind"]), one["points_mm"]
        images = self._looked_at(one["series"], points)
        found = values(kind, points)
        more: dict[str, Any] = {
            "tracking_identifier": _tracking(one["id"], self._called(one)),
            "finding_type": NODULE if one["nodule"] else codes.SCT.Lesion,
            "session": self.session,
        }
        if kind is Tool.ARROW:
            region = _region(sr.GraphicTypeValues3D.POINT, points[:1], images.series)
            return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                referenced_region=region, **more
            )
        if kind is Tool.ELLIPSE:
            region = _region(sr.GraphicTypeValues3D.ELLIPSE, _major_first(points), images.series)
            return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                referenced_region=region,
                measurements=[
                    sr.Measurement(AREA, found["area"], MM2),
                    *self._attenuation(images, points),
                ],
                **more,
            )
        first, second = points[:2], points[2:]
        if kind is Tool.LENGTH:
            measurements = [_distance(LENGTH, found["length"], first, images.series)]
        else:
            if values(Tool.LENGTH, first)["length"] < values(Tool.LENGTH, second)["length"]:
                first, second = second, first
            measurements = [
                _distance(LONG_AXIS, found["long_axis"], first, images.series),
                _distance(SHORT_AXIS, found["short_axis"], second, images.series),
                sr.Measurement(DIAMETER, found["mean_diameter"], MM, derivation=MEAN),
            ]
        near = images.near(points)
        source = [
            sr.SourceImageForMeasurementGroup.from_source_image(self._header(images, number))
            for number in near
        ]
        return sr.MeasurementsAndQualitativeEvaluations(
            measurements=measurements, source_images=source, **more
        )

    def _attenuation(self, images: Images, points: Any) -> list[sr.Measurement]:
        volume = images.series.volume
        if volume is None:
            return []
        uids = (images.series.study_uid, images.series.series_uid)
        found = hu_in_ellipse(self.archive, *uids, images.headers, Grid(*volume), points)
        if found is None:
            return []
        parts = ((MEAN, found.mean), (SD, found.sd), (LEAST, found.min), (MOST, found.max))
        return [
            sr.Measurement(ATTENUATION, round(value, 1), HU, derivation=how) for how, value in parts
        ]

    def _called(self, one: Mapping[str, Any]) -> str:
        """Name a measurement by what it belongs to, an arrow by what is said at it."""
        if one.get("text"):
            return str(one["text"])
        marks = [mark["id"] for mark in self.form.get("marks", [])]
        if one["nodule"] in marks:
            return f"Mark {marks.index(one['nodule']) + 1}, {one['kind']}"
        if nodule := self.nodules.get(one["nodule"]):
            return f"Nodule {nodule.number}, {one['kind']}"
        return str(one["kind"]).capitalize()

    def _looked_at(self, series: int, points: Sequence[Sequence[float]]) -> Images:
        """Note the images that points lie on as evidence, and return their series."""
        images = self.images[series]
        for number in images.near(points):
            self._header(images, number)
        return images

    def _belong_to_what_was_read(self) -> None:
        """Let the report lie in the study that was read, whatever was measured in earlier ones.

        It lies where its first evidence does.
        """
        read = next(iter(self.images.values()))
        uid = read.series.study_uid
        if not any(header.StudyInstanceUID == uid for header in self.evidence.values()):
            self._header(read, len(read.headers) // 2)
        in_order = sorted(self.evidence.items(), key=lambda item: item[1].StudyInstanceUID != uid)
        self.evidence = dict(in_order)

    def _header(self, images: Images, number: int) -> Dataset:
        header = Dataset.from_json(images.headers[number])
        if header.SOPInstanceUID not in self.evidence:
            if not self.as_in_archive:
                for name in IDENTITY:
                    setattr(header, name, "")
                header.PatientID = self.answer.reading.case.pseudonym
                header.PatientName = f"{header.PatientID}^"  # a family name alone
            for name in IDENTITY:
                if name not in header:
                    setattr(header, name, "")
            self.evidence[header.SOPInstanceUID] = header
        return self.evidence[header.SOPInstanceUID]


def _option(question: Question, value: Any) -> Code:
    label = next((o.label for o in question.options if o.value == value), str(value))
    return Code(str(value).upper()[:16], SCHEME, label[:64])


def _tracking(key: str, name: str) -> sr.TrackingIdentifier:
    # PS3.5 B.2: a UUID as a UID; so a mark is the same one in every stage.
    return sr.TrackingIdentifier(uid=f"2.25.{UUID(key).int}", identifier=name)


def _region(kind: sr.GraphicTypeValues3D, points: Any, series: Series) -> sr.ImageRegion3D:
    return sr.ImageRegion3D(
        graphic_type=kind,
        graphic_data=np.asarray(points, dtype=np.float64),
        frame_of_reference_uid=series.frame_of_reference_uid,
    )


def _distance(name: Code, value: float, points: Any, series: Series) -> sr.Measurement:
    line = sr.CoordinatesForMeasurement3D(
        graphic_type=sr.GraphicTypeValues3D.POLYLINE,
        graphic_data=np.asarray(points, dtype=np.float64),
        frame_of_reference_uid=series.frame_of_reference_uid,
    )
    return sr.Measurement(name, value, MM, referenced_coordinates=[line])


def _major_first(points: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """PS3.3 C.18.9: the ends of the longer axis of an ellipse go first."""
    one, other = (values(Tool.LENGTH, points[at : at + 2])["length"] for at in (0, 2))
    return [*points[2:], *points[:2]] if other > one else list(points)


def _uid(*parts: object) -> str:
    """Return the same UID for the same row at every export, and for no row of another site."""
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
