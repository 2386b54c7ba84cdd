import pytest
from pydantic import ValidationError

from inference.settings import BUILT_IN_MODELS, read_settings


def test_settings_come_from_the_environment_and_empty_variables_do_not_count() -> None:
    settings = read_settings(
        {"DICOMWEB_URL": "http://site/dicomweb", "DEVICE": "", "THREADS": "3", "OTHER": "x"}
    )
    assert settings.dicomweb_url == "http://site/dicomweb"
    assert (settings.device, settings.threads) == ("auto", 3)
    assert settings.models_dir == BUILT_IN_MODELS


@pytest.mark.parametrize("wrong", [{"DEVICE": "tpu"}, {"THREADS": "0"}])
def test_a_setting_that_makes_no_sense_stops_the_worker(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        read_settings(wrong)
