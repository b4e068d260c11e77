"""SSH keys: the user's is checked, ours is derived."""

import asyncssh
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from run_qarnot.core.errors import InputError
from run_qarnot.model import keys
from run_qarnot.model.keys import KeyPolicy


def test_the_session_key_is_the_contract_and_can_be_made_again():
    key = keys.derive_session_key("the-token", "rq-1")
    seed = HKDF(algorithm=hashes.SHA256(), length=32, salt=b"rq-1", info=b"").derive(b"the-token")
    public = (
        Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    )
    assert key.public.startswith(public.decode())
    assert key.public == keys.derive_session_key("the-token", "rq-1").public
    assert key.public != keys.derive_session_key("the-token", "rq-2").public
    assert asyncssh.import_private_key(key.private).export_public_key().split()[:2] == public.split()


def test_no_secret_is_in_the_representation_or_in_the_app_token():
    key = keys.derive_session_key("the-token", "rq-1")
    assert "PRIVATE" not in repr(key)
    assert "the-token" not in keys.derive_app_token("the-token", "rq-1")
    assert keys.derive_app_token("the-token", "rq-1") not in key.private


@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"])
def test_real_public_keys_are_accepted_and_cleaned(algorithm):
    public = asyncssh.generate_private_key(algorithm, comment="me@home").export_public_key().decode()
    assert keys.check_public_key(f"  {public}\n") == public.strip()


def test_a_private_key_is_refused_and_not_repeated():
    private = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with pytest.raises(InputError, match="private key") as caught:
        keys.check_public_key(private)
    assert private.splitlines()[1] not in str(caught.value)
    with pytest.raises(InputError, match="private key"):
        keys.check_public_key("PuTTY-User-Key-File-3: ssh-ed25519\nsecret")


@pytest.mark.parametrize(
    "text", ["", "hello", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa a b\nssh-rsa c d", "sk-x AAAA"]
)
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(InputError) as caught:
        keys.check_public_key(text)
    assert caught.value.field == "ssh-key"


def test_an_image_that_takes_one_line_gets_the_users():
    assert keys.authorized_keys(KeyPolicy.ONE, "ours", None) == ("ours",)
    assert keys.authorized_keys(KeyPolicy.ONE, "ours", "theirs") == ("theirs",)
    assert keys.authorized_keys(KeyPolicy.MANY, "ours", "theirs") == ("theirs", "ours")
    assert keys.authorized_keys(KeyPolicy.MANY, "ours", "one\ntwo") == ("one", "two", "ours")


def test_several_keys_go_where_the_image_takes_them():
    one, two = (asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip() for _ in range(2))
    text = f"\n {one}\r\n\n{two} \n"
    assert keys.check_public_keys(text, KeyPolicy.MANY) == f"{one}\n{two}"
    with pytest.raises(InputError, match="one key only"):
        keys.check_public_keys(text, KeyPolicy.ONE)
    assert keys.check_public_keys(f"{one}\n", KeyPolicy.ONE) == one
    for text in (" \n", f"{one}\nhello"):
        with pytest.raises(InputError) as caught:
            keys.check_public_keys(text, KeyPolicy.MANY)
        assert caught.value.field == "ssh-key"
