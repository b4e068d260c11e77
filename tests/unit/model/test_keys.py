"""SSH keys: the user's is checked, ours is derived."""

import base64
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.core.errors import InputError
from run_qarnot.model import keys
from run_qarnot.model.keys import KeyPolicy


def one_key(text: str) -> str:
    """Check a text as for an image that accepts one key."""
    return keys.check_public_keys(text, keys.KeyPolicy.ONE)


def test_the_session_key_is_the_contract_and_can_be_made_again() -> None:
    key = keys.derive_session_key("the-token", "rq-1")
    seed = HKDF(algorithm=hashes.SHA256(), length=32, salt=b"rq-1", info=b"").derive(b"the-token")
    public = (
        Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    )
    assert key.public.startswith(public.decode())
    assert key.public == keys.derive_session_key("the-token", "rq-1").public
    assert key.public != keys.derive_session_key("the-token", "rq-2").public
    assert asyncssh.import_private_key(key.private).export_public_key().split()[:2] == public.split()


def test_no_secret_is_in_the_representation_or_in_the_app_token() -> None:
    key = keys.derive_session_key("the-token", "rq-1")
    assert "PRIVATE" not in repr(key)
    assert "the-token" not in keys.derive_app_token("the-token", "rq-1")
    assert keys.derive_app_token("the-token", "rq-1") not in key.private


def test_base_url_and_proxy_key_are_of_one_launch_and_tell_nothing_of_each_other() -> None:
    made = {(keys.derive_base_url(token, run), keys.derive_proxy_key(token, run)) for token in "ab" for run in "12"}
    assert len({base for base, _ in made}) == len({key for _, key in made}) == 4
    for base, key in made:
        assert re.fullmatch("/rq-[0-9a-f]{12}/", base)
        assert base.strip("/rq-") not in key
    assert keys.derive_base_url("a", "1") == keys.derive_base_url("a", "1")


def test_the_base_url_is_known_before_the_machine_and_says_nothing() -> None:
    base = keys.derive_base_url("the-token", "rq-1")
    assert re.fullmatch(r"/rq-[0-9a-f]{12}/", base)
    assert base == keys.derive_base_url("the-token", "rq-1")
    others = {keys.derive_base_url("the-token", "rq-2"), keys.derive_base_url("another", "rq-1")}
    assert len({base, *others}) == 3
    assert base[4:-1] not in keys.derive_app_token("the-token", "rq-1")


@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"])
def test_real_public_keys_are_accepted_and_cleaned(algorithm: str) -> None:
    public = asyncssh.generate_private_key(algorithm, comment="me@home").export_public_key().decode()
    assert one_key(f"  {public}\n") == public.strip()


def test_a_private_key_is_refused_and_not_repeated() -> None:
    private = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with pytest.raises(InputError, match="private key") as caught:
        one_key(private)
    assert private.splitlines()[1] not in str(caught.value)
    with pytest.raises(InputError, match="private key"):
        one_key("PuTTY-User-Key-File-3: ssh-ed25519\nsecret")


@pytest.mark.parametrize(
    "text", ["", "hello", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa a b\nssh-rsa c d", "sk-x AAAA"]
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        one_key(text)
    assert caught.value.field == "ssh-key"


ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKMNmJvobD5lc7YCUQ/yXBh34tq9fYeswrQhKN1c3G3U"
HALF = "AAAAC3NzaC1lZDI1NTE5AAAAIKMNmJvobD5lc7YC"
KINDS = [("ed25519", 256), ("rsa", 2048), ("rsa", 3072), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521)]


def keygen(*arguments: object, **more: Any) -> str:
    command = ["ssh-keygen", *map(str, arguments)]
    done: subprocess.CompletedProcess[str] = subprocess.run(command, check=True, capture_output=True, text=True, **more)
    return done.stdout


def is_taken_by_openssh(folder: Path, line: str) -> bool:
    (folder / "line.pub").write_text(f"{line}\n")
    return subprocess.run(["ssh-keygen", "-l", "-f", folder / "line.pub"], capture_output=True).returncode == 0


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]}")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key pair of each kind; the path of the private one."""
    kind, bits = request.param
    private = tmp_path_factory.mktemp("pair") / "key"
    keygen("-q", "-t", kind, "-b", bits, "-N", "", "-C", "me@home", "-f", private)
    return private


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Callable[[str, Path], bool]]:
    """OpenSSH's own server, for this user; tell it a line and a private key, and it says whether they open it."""
    run = Path("/run/sshd")
    missing = os.geteuid() == 0 and not run.exists()
    if missing:
        run.mkdir(mode=0o755)
    keygen("-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "host")
    config = tmp_path / "sshd_config"
    config.write_text(
        f"HostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/authorized_keys\nStrictModes no\nUsePAM no\n"
    )

    def opens(line: str, private: Path) -> bool:
        (tmp_path / "authorized_keys").write_text(f"{line}\n")
        options = (
            f"ProxyCommand=/usr/sbin/sshd -i -f {config}", f"IdentityFile={private}", "IdentitiesOnly=yes",
            "IdentityAgent=none", "BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null",
        )  # fmt: skip
        command = ["ssh", "-F", "none", *(word for option in options for word in ("-o", option)), "there", "true"]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30).returncode == 0

    yield opens
    if missing:
        run.rmdir()


def test_every_form_of_a_key_opens_a_real_server(pair: Path, sshd: Callable[[str, Path], bool], tmp_path: Path) -> None:
    line = pair.with_suffix(".pub").read_text().strip()
    pem = asyncssh.read_public_key(str(pair.with_suffix(".pub"))).export_public_key("pkcs8-pem").decode()
    forms = [keygen("-e", "-m", "RFC4716", "-f", pair), pem]
    forms += [line, f"\ufeff{line}\r\n", f"# laptop\r\n\r\n{line}", line.replace(" ", "\t"), f"  {line} on a train  "]
    for form in forms:
        taken = one_key(form)
        assert taken.split()[:2] == line.split()[:2], form
        assert is_taken_by_openssh(tmp_path, taken)
    assert "converted by" in one_key(forms[0]), "of RFC 4716, the comment is kept"
    assert sshd(one_key(forms[0]), pair)
    assert not sshd(ED25519, pair), "the server does look at keys"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"ssh-ed25519 {HALF} someone", "key-damaged"),
        (f"ssh-rsa {HALF}", "key-damaged"),
        (f"ssh-rsa {ED25519.split()[1]}", "key-damaged"),
        (f"{ED25519[:40]} {ED25519[40:]}", "key-damaged"),
        (f"{ED25519}==", "key-damaged"),
        ("ssh-ed25519", "key-damaged"),
        ("ssh-rsa AAAAB3NzaC1yc2EAAAADgQABAAAABQCAAAAB", "key-damaged"),  # a negative exponent
        (f"---- BEGIN SSH2 PUBLIC KEY ----\n{HALF}\n---- END SSH2 PUBLIC KEY ----", "key-damaged"),
        (f"---- BEGIN SSH2 PUBLIC KEY ----\n{HALF}", "key-damaged"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "key-damaged"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "key-certificate"),
        (f'no-pty,command="ls" {ED25519}', "key-options"),
        (f"restrict {ED25519}", "key-options"),
        (f"cert-authority {ED25519}", "key-options"),
        (f"example.org {ED25519}", "key-options"),
        (f"- {ED25519}", "key-options"),
        (f"{ED25519} caf\u200be", "key-characters"),
        (ED25519.replace("AAAA", "AA\u200bAA"), "key-characters"),
        (ED25519.replace(" ", "\u00a0"), "key-characters"),
        (f"{ED25519} \x1b[2J", "key-characters"),
        (f"{ED25519} \u2028{ED25519}", "key-characters"),
        ("\0".join(ED25519), "key-characters"),
        (ED25519.split()[1], "key-format"),
        ("256 SHA256:c29tZSBmaW5nZXJwcmludA someone (ED25519)", "key-format"),
        ("~/.ssh/id_ed25519.pub", "key-format"),
        ("ssh-ed448 AAAACXNzaC1lZDQ0OA==", "key-kind"),
        ("ssh-dss AAAAB3NzaC1kc3MAAACBAP someone", "key-kind"),
        ("ecdsa-sha2-nistp192 AAAA", "key-kind"),
        ("# only a comment", "key-format"),
        ("x" * 200_000, "key-format"),
    ],
)
def test_the_true_reason_is_said(text: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        one_key(text)
    assert (caught.value.code, caught.value.field) == (code, "ssh-key")
    with pytest.raises(InputError):
        keys.check_public_keys(f"{ED25519}\n{text.lstrip('#')}", KeyPolicy.MANY)


def test_a_certificate_is_refused_in_every_form(pair: Path) -> None:
    folder = pair.parent
    keygen("-q", "-t", "ed25519", "-N", "", "-f", folder / "authority", input="y\n")
    keygen("-q", "-s", folder / "authority", "-I", "me", pair.with_suffix(".pub"))
    certificate = (folder / "key-cert.pub").read_text()
    blob = certificate.split()[1]
    for text in (certificate, f"---- BEGIN SSH2 PUBLIC KEY ----\n{blob}\n---- END SSH2 PUBLIC KEY ----\n"):
        with pytest.raises(InputError, match="certificate") as caught:
            one_key(text)
        assert caught.value.code == "key-certificate"


def test_too_small_an_rsa_key_and_other_kinds_in_pem_are_refused() -> None:
    def pem(key: Any) -> str:
        public: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return public.decode()

    cases = [
        (pem(rsa.generate_private_key(65537, 1024)), "key-size"),
        (pem(dsa.generate_private_key(2048)), "key-kind"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "key-kind"),
        (pem(ed448.Ed448PrivateKey.generate()), "key-kind"),
    ]
    for text, code in cases:
        with pytest.raises(InputError) as caught:
            one_key(text)
        assert caught.value.code == code


def test_a_point_in_short_form_is_written_as_openssh_reads_it(tmp_path: Path) -> None:
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    short = point.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    parts = (b"ecdsa-sha2-nistp256", b"nistp256", short)
    blob = base64.b64encode(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).decode()
    line = f"ecdsa-sha2-nistp256 {blob}"
    assert not is_taken_by_openssh(tmp_path, line)
    assert is_taken_by_openssh(tmp_path, one_key(line))


def test_private_keys_are_known_in_every_form(pair: Path) -> None:
    texts = [pair.read_text(), "PuTTY-User-Key-File-3: ssh-ed25519\nx", "Private-Lines: 1\nAAAA"]
    texts += ["".join(pair.read_text().splitlines()[1:-1]), "\0".join(pair.read_text()), f"\ufeff{pair.read_text()}"]
    for text in texts:
        assert keys.is_private_key(text)
        with pytest.raises(InputError, match="private key"):
            keys.check_public_keys(f"{ED25519}\n{text}", KeyPolicy.MANY)
    assert not keys.is_private_key(pair.with_suffix(".pub").read_text())


SK = b"sk-ecdsa-sha2-nistp256@openssh.com"
TEXTS = [
    f"{ED25519} someone",
    asyncssh.import_public_key(ED25519).export_public_key("rfc4716").decode(),
    asyncssh.import_public_key(ED25519).export_public_key("pkcs8-pem").decode(),
    asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key("pkcs8-pem").decode(),
]


@given(st.sampled_from(TEXTS), st.data())
def test_what_is_accepted_is_taken_by_openssh(
    tmp_path_factory: pytest.TempPathFactory, line: str, data: st.DataObject
) -> None:
    """Of a key that was cut, mixed up or written into, either nothing is taken or a line that OpenSSH takes."""
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(line))] * 2)))
    written = data.draw(st.text(st.sampled_from('A/+= \t\n#"-,x\u200b\xa0\ufeffé'), max_size=5))
    text = line[:start] + written + line[end:]
    try:
        taken = keys.check_public_keys(text, KeyPolicy.MANY)
    except InputError:
        return
    for each in taken.split("\n"):
        assert is_taken_by_openssh(tmp_path_factory.getbasetemp(), each)
        assert each.isprintable()


def test_an_image_that_takes_one_line_gets_the_users() -> None:
    assert keys.authorized_keys(KeyPolicy.ONE, "ours", None) == ("ours",)
    assert keys.authorized_keys(KeyPolicy.ONE, "ours", "theirs") == ("theirs",)
    assert keys.authorized_keys(KeyPolicy.MANY, "ours", "theirs") == ("theirs", "ours")
    assert keys.authorized_keys(KeyPolicy.MANY, "ours", "one\ntwo") == ("one", "two", "ours")


def test_several_keys_go_where_the_image_takes_them() -> None:
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


def test_what_is_derived_is_the_same_in_every_version() -> None:
    """A session that an older version has started is opened by these, and by nothing else."""
    token, launch = "a qarnot token", "rq-0123456789abcdef"
    assert keys.derive_session_key(token, launch).public == (
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILfmuovArtfzU7ltJUU2NUSap+S2rkzWTvqEdTRlox4n run-qarnot"
    )
    assert keys.derive_app_token(token, launch) == "fbc18c193f1c831afa0ef51d013fe5762747b3709ae7c19d"
    assert keys.derive_base_url(token, launch) == "/rq-d9758e6f8894/"
    proxy_key = keys.derive_proxy_key(token, launch)
    assert proxy_key == "6094f4112e9e37f10c9760f12b2c67794008e43e5f9efe920415dd4712422b15"


def test_of_several_keys_an_image_that_takes_one_gets_the_first() -> None:
    assert keys.authorized_keys(KeyPolicy.ONE, "ours", "one\ntwo\nthree") == ("one",)
    assert keys.authorized_keys(KeyPolicy.MANY, "ours", "one\ntwo") == ("one", "two", "ours")
    assert keys.authorized_keys(KeyPolicy.ONE, "ours", None) == ("ours",)
