"""The one place where secrets are taken out of text."""

import io
import logging
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.core import redaction

secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60).filter(
    lambda secret: secret != redaction.MASK
)


@pytest.fixture(autouse=True)
def _own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_secrets", set())


@given(secret=secrets, before=st.text(), after=st.text())
def test_a_protected_secret_is_nowhere_in_the_text(secret: str, before: str, after: str) -> None:
    assert secret not in redaction.redact(f"{before}{secret}{after}", also=[secret]).replace(redaction.MASK, "")


def test_it_is_found_in_its_quoted_form_too() -> None:
    redaction.protect("a/secret+with=marks")
    assert "secret" not in redaction.redact("https://x/?t=a%2Fsecret%2Bwith%3Dmarks")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("http://localhost:8888/lab?token=abcdef123", "abcdef123"),
        ("JUPYTER_TOKEN=abcdef-123", "abcdef-123"),
        ("export QARNOT_CLIENT_TOKEN='correct-horse'", "correct-horse"),
        ("/lab?reset&token=correcthorse", "correcthorse"),
        ("<a href='/?x=1&amp;token=short'>", "short"),
        ("access_token=ab12cd34", "ab12cd34"),
        ('login(token="ab12cd34ef")', "ab12cd34ef"),
        ("Authorization: Bearer abcdefgh", "abcdefgh"),
        ("Authorization: token abcdefgh", "abcdefgh"),
        ("Authorization: 0123456789abcdef", "0123456789abcdef"),
        ("{'Authorization': 'Bearer xyz-123'}", "xyz-123"),
        ("{'Authorization': b'AWS4-HMAC-SHA256 Credential=me/s3, SignedHeaders=host, Signature=89e7'}", "89e7"),
        ("Authorization: AWS4-HMAC-SHA256 Credential=me/s3, SignedHeaders=host, Signature=89e7", "89e7"),
        ("Authorization: AWS me:c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        ("Signature:\n" + "89e7" * 16, "89e7"),
        ("nothing answers at http://bob:hunter22@host:8080/x", "hunter22"),
        ("?X-Amz-Credential=me&X-Amz-Signature=deadbeef", "deadbeef"),
        ("https://s3/b/k?AWSAccessKeyId=me&Signature=dead%2Bbeef&Expires=1", "dead%2Bbeef"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----", "b3BlbnNzaC1rZXk"),
        ("-----BEGIN RSA PRIVATE KEY-----\ncut-off-in-the-middle", "cut-off"),
        ("PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 1\nAAAA", "AAAA"),
    ],
)
def test_what_looks_like_a_secret_is_masked_even_if_nobody_made_it_known(text: str, secret: str) -> None:
    assert secret not in redaction.redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "The token was refused. Author: me. 3 tokens left. http://host:8080/a?mail=me@home ssh://root@host:22/job",
        "max_token=4096 n_token=12 pad_token=[PAD] eos_token=</s> MAX_TOKEN=4096 NUM_TOKEN=1.5",
        "def f(token=None, key=1): return g(token=tokenizer.pad_token, id_token=self.token)",
        "authorization: enabled",
        "Authorization = none, then",
        "{'authorization': 'required'}",
        "token=True token='' bos_token=<s>",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redaction.redact(text) == text


def test_a_log_record_is_redacted_with_its_arguments_and_its_traceback() -> None:
    redaction.protect("very-secret-token")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(redaction.RedactingFormatter(logging.Formatter("%(message)s")))
    log = logging.Logger("test")
    log.addHandler(handler)
    try:
        int("refused very-secret-token")
    except ValueError:
        log.exception("asked with %s", "very-secret-token")
    assert "very-secret-token" not in stream.getvalue()
    assert stream.getvalue().count(redaction.MASK) >= 2


@given(secret=secrets, text=st.text(), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_a_stream_hides_a_secret_that_comes_in_pieces(secret: str, text: str, cuts: list[int]) -> None:
    redaction.protect(secret)
    written, whole = io.StringIO(), f"{text}{secret}\n"
    stream = redaction.RedactingStream(written)
    places = sorted({0, *(min(cut, len(whole)) for cut in cuts), len(whole)})
    for begin, end in pairwise(places):
        stream.write(whole[begin:end])
    assert secret not in written.getvalue()
    assert written.getvalue().endswith("\n")
