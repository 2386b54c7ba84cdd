"""What predicting costs: `make bench-inference`.

Generated cases are imported into a site of their own (PostgreSQL, gunicorn, image archive), and
nodules are predicted as the worker does: fetch by DICOMweb, decode, resample, cut nine planes,
forward pass, explanation, store. The bare forward pass is that of the same network on the same
tensors, eight nodules at once. The network is ViT-B/32, the published model's size; its weights
are random, which costs the same.
"""

import argparse
import logging
import multiprocessing
import os
import resource
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from scipy.spatial.transform import Rotation

from inference.archive import DicomWebArchive, Volume, volume_from_slices
from inference.backbone import BackboneSettings, load_backbone
from inference.calibration import BetaCalibration
from inference.explain import faithfulness, relevance
from inference.lora import LoraSettings
from inference.model import Card, InputContract, Model, embed_prompts, load_model
from inference.network import NoduleNetwork
from inference.predict import predict_nodule
from inference.preprocess import network_input, nodule_input, normalised
from inference.prompts import Prompts, default_prompts
from inference.settings import BUILT_IN_MODELS
from launcher.postgres import EmbeddedPostgres

CHECKOUT = Path(__file__).resolve().parent.parent
BATCH = 8
LONG_SERIES = 1500
CPU = torch.device("cpu")
# A head held askew: 9 degrees about the first axis, then 7 and 5 about the others.
TURNED = Rotation.from_euler("xyz", [9, 7, 5], degrees=True).as_matrix()


def vit_b_32(device: torch.device = CPU) -> Model:
    """Return a model of the published one's size, with random weights."""
    settings = BackboneSettings(name="ViT-B-32-quickgelu", random_weights=True)
    network = NoduleNetwork(load_backbone(settings, Path()), LoraSettings())
    network.merge()
    network.to(device).eval().requires_grad_(requires_grad=False)
    backbone = network.backbone
    prompts = Prompts({"margin": default_prompts().root["margin"]})
    return Model(
        name="vit-b-32",
        card=Card(
            title="ViT-B/32",
            version="random",
            notice="Random weights.",
            backbone=settings,
            folds=("fold0",),
            input=InputContract(size=224, mean=backbone.mean, std=backbone.std),
            token_mm=7.1,
        ),
        networks=(network,),
        calibrations=(BetaCalibration(),),
        prompt_embeddings=(embed_prompts(network, prompts, device),),
        hash="0" * 64,
        weights_hash="0" * 64,
        device=device,
    )


@contextmanager
def a_site(folder: Path, cases: int) -> Iterator[tuple[DicomWebArchive, Any]]:
    """Run a site with generated cases; yield the way to its images, and the study."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with EmbeddedPostgres(folder / "pg", folder / "run") as server:
        token = secrets.token_urlsafe(24)
        os.environ.update(
            SECRET_KEY=secrets.token_urlsafe(40),
            SERVICE_TOKEN=token,
            DATABASE_URL=server.url("reread"),
            VAR_DIR=str(folder / "var"),
            ALLOWED_HOSTS="127.0.0.1",
            DJANGO_SETTINGS_MODULE="reader_study.settings",
        )
        ct = folder / "ct"
        for command in (
            ["-m", "phantom", str(ct), "--cases", str(cases)],
            ["manage.py", "migrate", "--verbosity", "0"],
            ["manage.py", "create_study", "bench", "reader_study/protocols/demonstration.yaml"],
            ["manage.py", "import_cases", str(ct), "--nodules", str(ct / "nodules.csv"),
             "--study", "bench"],
        ):  # fmt: skip
            subprocess.run(
                [sys.executable, *command], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL
            )
        web = subprocess.Popen(
            [
                *(str(Path(sys.executable).with_name("gunicorn")), "reader_study.wsgi"),
                *("--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "4"),
                *("--no-control-socket", "--log-level", "error"),
            ],
            cwd=CHECKOUT,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/dicomweb/studies")
            import django

            django.setup()
            from reader_study.models import Study

            study = Study.objects.get(slug="bench")
            root = f"http://127.0.0.1:{port}/dicomweb"
            yield DicomWebArchive(root, token, whole=False), study
        finally:
            from django.db import connections

            connections.close_all()
            web.terminate()
            web.wait()


def _wait_for(address: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(address, timeout=5)  # noqa: S310  an address of our own
        except urllib.error.HTTPError:
            return  # it answers, if only that a token is missing
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the site does not answer")


def rates(folder: Path, cases: int) -> None:
    """Time the whole task with and without explanation against the bare forward pass."""
    model = vit_b_32()
    network, contract = model.networks[0], model.card.input
    with a_site(folder, cases) as (archive, study):
        from django.utils import timezone

        from reader_study.actions.prediction import record_prediction
        from reader_study.models import Job, Nodule

        nodules = list(Nodule.objects.of_study(study).select_related("series"))
        tensors = torch.stack(
            [
                network_input(
                    torch.from_numpy(
                        nodule_input(
                            archive.read_series(one.series.study_uid, one.series.series_uid),
                            one.centre_mm,
                        ).planes
                    ),
                    contract.size,
                    contract.mean,
                    contract.std,
                )
                for one in (nodules * BATCH)[:BATCH]
            ]
        )

        def bare() -> None:
            with torch.no_grad():
                network.images(tensors)

        def whole(explain: bool) -> None:
            archive.read_series.cache_clear()
            now = timezone.now()
            for one in nodules:
                job = Job.objects.create(
                    nodule=one, model=secrets.token_hex(8), asked_at=now, retry_at=now
                )
                volume = archive.read_series(one.series.study_uid, one.series.series_uid)
                frame = one.series.frame_of_reference_uid
                found = predict_nodule(model, volume, one.centre_mm, frame, explain=explain)
                record_prediction(job_id=job.pk, message=found, now=now)

        bare()
        seconds_bare = best(bare) / BATCH
        seconds_one = best(lambda: network.images(tensors[:1]))
        seconds_explain = best(
            lambda: explain_one(model, tensors[0]),
        )
        of_whole = {
            explain: best(partial(whole, explain), 2) / len(nodules) for explain in (False, True)
        }
    say(f"cases {cases}, nodules {len(nodules)}, threads {torch.get_num_threads()}")
    say(f"bare forward pass, batch {BATCH}: {1 / seconds_bare:.2f} nodules/s")
    for explain, seconds in of_whole.items():
        say(
            f"whole task {'with' if explain else 'without'} explanation: {1 / seconds:.2f} "
            f"nodules/s, {seconds_bare / seconds:.2f} of the bare forward pass"
        )
    say(
        f"explanation: {seconds_explain / seconds_one - 1:.2f} forward passes of one nodule beside "
        "its own"
    )


def explain_one(model: Model, planes: torch.Tensor) -> None:
    """Do what an explained prediction does after its planes are cut."""
    network, contract = model.networks[0], model.card.input
    output, maps = relevance(network, planes)
    lung = normalised(torch.full((1, 1, 1, 1), 0.1), contract.mean, contract.std)[0]
    faithfulness(network, planes, output, maps, lung, lambda logits: logits.softmax(1)[:, 1])


def preprocessing() -> None:
    """Time one nodule from a decoded volume, on one thread."""
    torch.set_num_threads(1)
    volume = a_volume(120, (0.7, 0.7, 2.5))
    tilted = a_volume(120, (0.7, 0.7, 2.5), tilt=0.2)
    turned = a_volume(120, (0.7, 0.7, 2.5))
    turned.lps_from_index[:3, :3] = TURNED @ turned.lps_from_index[:3, :3]
    kinds = {"along the axes": volume, "tilted gantry": tilted, "turned about every axis": turned}
    for name, of in kinds.items():
        middle = (of.lps_from_index @ [256, 256, 60, 1])[:3]
        point = tuple(float(value) for value in middle)

        def prepare(volume: Volume = of, at: Any = point) -> None:
            planes = torch.from_numpy(nodule_input(volume, at).planes)
            network_input(planes, 224, (0.5,) * 3, (0.25,) * 3)

        say(
            f"preprocessing of one nodule, {name}: {1000 * best(prepare, 10):.0f} ms on one core, "
            f"{1000 * best(prepare, 10, time.process_time):.0f} of them computing"
        )


def a_volume(slices: int, spacing_mm: tuple[float, float, float], tilt: float = 0) -> Volume:
    """Return noise as a volume."""
    hu = np.random.default_rng(0).integers(-1000, 200, (slices, 512, 512), dtype=np.int16)
    place = np.diag([*spacing_mm, 1.0])
    place[1, 2] = tilt * spacing_mm[2]
    return Volume(hu, place, "1", "2", "3")


def memory_of_many(nodules: int = 1000) -> None:
    """Predict many nodules with the model that comes along, and watch what memory does."""
    model = load_model("demonstration", BUILT_IN_MODELS, CPU)
    volume = a_volume(120, (0.7, 0.7, 2.5))
    rng = np.random.default_rng(0)
    for number in range(1, nodules + 1):
        x, y, z = (float(value) for value in rng.uniform(60, 240, 3))
        predict_nodule(model, volume, (x, y, z))
        if number in {nodules // 10, nodules}:
            say(f"memory after {number} nodules: {resident_mb():.0f} MB")


def memory_of_a_long_series(slices: int = LONG_SERIES) -> None:
    """Predict in a series of many slices, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        peak = pool.apply(_predict_in_a_long_series, (slices,))
    say(f"peak memory with a series of {slices} slices of 512 x 512: {peak:.0f} MB")


def _predict_in_a_long_series(slices: int) -> float:
    model = load_model("demonstration", BUILT_IN_MODELS, CPU)
    volume = volume_from_slices(_long_series(slices))
    predict_nodule(model, volume, (100.0, 100.0, 100.0))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _long_series(slices: int) -> Iterator[Dataset]:
    """Yield images one by one, as they come out of an archive's answer."""
    pixels = np.random.default_rng(0).integers(0, 1200, (512, 512), dtype=np.int16).tobytes()
    for number in range(slices):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPInstanceUID, one.Modality = f"1.2.{number}", "CT"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = "1", "2", "3"
        one.Rows = one.Columns = 512
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.RescaleIntercept, one.RescaleSlope = -1024, 1
        one.PixelSpacing = [0.7, 0.7]
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.ImagePositionPatient = [0, 0, number * 0.3]
        one.PixelData = bytes(bytearray(pixels))
        yield one


def independence() -> None:
    """Compare the scores of one nodule alone, in a batch, and in another order."""
    model = vit_b_32()
    network = model.networks[0]
    images = torch.randn(BATCH, 9, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(BATCH, generator=torch.Generator().manual_seed(1))

    def scores(of: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return network.images(of).logits.double().softmax(1)[:, 1]

    together = scores(images)
    alone = torch.cat([scores(one[None]) for one in images])
    worst = max(
        float((together - alone).abs().max()),
        float((together[order] - scores(images[order])).abs().max()),
    )
    say(f"score alone, in a batch of {BATCH} and in another order: differs by {worst:.1e} at most")


def best(
    work: Callable[[], object], times: int = 3, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the seconds of the fastest run: what others on this machine take is left out."""
    seconds = []
    for _ in range(times):
        began = clock()
        work()
        seconds.append(clock() - began)
    return min(seconds)


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def gpu() -> None:
    """Time the forward pass on a GPU, and how busy predicting keeps it; or say there is none."""
    if not torch.cuda.is_available():
        say("no GPU here: nothing was measured on one")
        return
    device = torch.device("cuda")
    model = vit_b_32(device)
    images = torch.randn(32, 9, 3, 224, 224, device=device)

    def forward() -> None:
        with torch.no_grad():
            model.networks[0].images(images)
        torch.cuda.synchronize()

    forward()
    name = torch.cuda.get_device_name()
    say(f"ViT-B/32 on {name}: {32 / best(forward, 10):.0f} nodules/s, 32 at once")
    rate, busy = predicting(model, 100)
    say(f"one after the other, from a decoded volume: {rate:.0f} nodules/s, {name} busy {busy:.0%}")


def predicting(model: Model, nodules: int) -> tuple[float, float]:
    """Return nodules a second without explanation, and the share of time the network computes."""
    volume = a_volume(120, (0.7, 0.7, 2.5))
    network = model.networks[0]
    look, seconds = network.images, 0.0

    def timed(planes: torch.Tensor) -> Any:
        nonlocal seconds
        began = time.perf_counter()
        output = look(planes)
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        seconds += time.perf_counter() - began
        return output

    network.images = timed  # type: ignore[method-assign]
    began = time.perf_counter()
    for number in range(nodules):
        predict_nodule(model, volume, (100.0 + number % 50, 120.0, 150.0), explain=False)
    whole = time.perf_counter() - began
    return nodules / whole, seconds / whole


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=6, help="generated cases to predict")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)  # open_clip warns that weights are random
    preprocessing()
    independence()
    memory_of_a_long_series()
    memory_of_many()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="reread-bench-") as name:
        rates(Path(name), options.cases)
    gpu()


if __name__ == "__main__":
    main()
