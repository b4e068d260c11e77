"""What the environment says."""

from pathlib import Path

import pytest

from run_qarnot.core.errors import InputError
from run_qarnot.core.redaction import redact
from run_qarnot.model.settings import CLOUD_URL, check_token, read_settings


def test_nothing_set_means_the_cloud_and_the_packaged_catalog(tmp_path: Path) -> None:
    settings = read_settings({}, tmp_path)
    assert settings.cluster_url == CLOUD_URL
    assert settings.token is None
    assert settings.images.is_file()
    assert settings.plugins is None


def test_the_folders_own_catalog_wins_and_a_variable_wins_over_it(tmp_path: Path) -> None:
    (tmp_path / "images.toml").write_text("schema = 1")
    (tmp_path / "plugins").mkdir()
    settings = read_settings({}, tmp_path)
    assert settings.images == tmp_path / "images.toml"
    assert settings.plugins == tmp_path / "plugins"
    named = read_settings({"RUN_QARNOT_IMAGES": "/x/y.toml", "RUN_QARNOT_PLUGINS": "/x/p"}, tmp_path)
    assert str(named.images) == "/x/y.toml"
    assert str(named.plugins) == "/x/p"


def test_the_token_is_trimmed_and_not_shown(tmp_path: Path) -> None:
    settings = read_settings({"QARNOT_CLIENT_TOKEN": "  a-secret-token\n"}, tmp_path)
    assert settings.token == "a-secret-token"
    assert "a-secret-token" not in repr(settings)


@pytest.mark.parametrize("value", ["localhost:8080", "ftp://x", "http://", "http://[::1", "http://x:99999"])
def test_what_is_no_address_is_said_with_the_variables_name(value: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="QARNOT_CLUSTER_URL"):
        read_settings({"QARNOT_CLUSTER_URL": value}, tmp_path)


@pytest.mark.parametrize("text", ["abc", " abc", "abc\n", "\tabc ", "\ufeffabc"])
def test_what_surrounds_a_token_is_removed(text: str) -> None:
    assert check_token(text) == "abc"


@pytest.mark.parametrize(
    ("text", "code"), [("", "token-empty"), ("  ", "token-empty"), ("a b", "token-shape"), ("jetön", "token-shape")]
)
def test_what_cannot_be_a_token_is_refused(text: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        check_token(text)
    assert caught.value.code == code


def test_a_token_is_hidden_from_output_even_if_its_shape_is_wrong() -> None:
    with pytest.raises(InputError):
        check_token("secret-one secret-two")
    assert "secret-two" not in redact("sent secret-one secret-two")
