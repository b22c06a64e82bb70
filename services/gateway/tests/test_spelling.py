"""One spelling of an address and of an id: found by every other, and its own normal form."""

from __future__ import annotations

import uuid
from email import message_from_bytes
from email.policy import SMTP

import protovalidate
import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nexpo.users.v1.users_pb2 import GetUserRequest, OnboardUserRequest
from nexpo_gateway.content.spelling import normal_email, normal_uuid, normalise
from nexpo_gateway.processes.mail import wording
from nexpo_gateway.processes.mail.settings import parse_smtp_url
from nexpo_gateway.processes.mail.smtp import _compose

MANY = settings(max_examples=300, deadline=None, database=None, derandomize=True)
LABELS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
    st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?", fullmatch=True),
    st.sampled_from(["I❤", "faß", "xn--tda", "XN--ZZZZ", "ab--cd", "Σς", "ｅｘ", "א", "💩", "a_b"]),
)
LOCALS = st.one_of(
    st.from_regex(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,20}", fullmatch=True),
    st.text(max_size=5),
)
ADDRESSES = st.builds("{}@{}.{}".format, LOCALS, LABELS, LABELS)
SENDER, PUBLIC_URL = "Nexpo <nexpo@example.com>", "https://nexpo.example"
IDS = st.uuids().map(str)


def accepted(address: str) -> bool:
    request = OnboardUserRequest(email=address, display_name="x", password="long enough")
    return not protovalidate.collect_violations(request)


@MANY
@given(ADDRESSES)
@example("K@B.example")
@example("a@xn--Ü.de")
@example("a@b.example.")
def test_what_is_accepted_is_its_own_normal_form_in_ascii_and_lower_case(address: str) -> None:
    normal = normal_email(address)
    if accepted(normal):
        assert normal_email(normal) == normal
        assert normal.isascii()
        assert normal == normal.lower()


@MANY
@given(ADDRESSES)
def test_another_case_is_the_same_address(address: str) -> None:
    normal = normal_email(address)
    if accepted(normal) and address.isascii():
        assert normal_email(address.upper()) == normal
        assert normal_email(address.lower()) == normal


@pytest.mark.parametrize(
    ("spellings", "normal"),
    [
        (
            ["a@Bücher.de", "A@BÜCHER.DE", "a@bu\u0308cher.de", "a@XN--bcher-kva.de"],
            "a@xn--bcher-kva.de",
        ),
        (["a@I❤.ws", "a@xn--i-7iq.ws"], "a@xn--i-7iq.ws"),
        (["a@ab--cd.example", "A@AB--CD.example"], "a@ab--cd.example"),
        (["a@XN--ZZZZZZ.com"], "a@xn--zzzzzz.com"),
        (["a@faß.de"], "a@xn--fa-hia.de"),
        (["a@ΣΣ.gr", "a@σσ.gr"], "a@xn--4xaa.gr"),
        (["a@ｂ。ｃ.de"], "a@b.c.de"),
    ],
)
def test_spellings_of_one_address(spellings: list[str], normal: str) -> None:
    assert {normal_email(spelling) for spelling in spellings} == {normal}
    assert accepted(normal)


@pytest.mark.parametrize(
    "address", ["a@b.example.", '"a b"@c.example', "ü@b.example", "a@a_b.example", "a@xn--ü.de"]
)
def test_what_has_no_normal_form_is_refused_by_the_fields_rule(address: str) -> None:
    assert not accepted(normal_email(address))


@MANY
@given(IDS)
def test_every_spelling_of_an_id_is_one(text: str) -> None:
    made = uuid.UUID(text)
    for spelling in (
        text.upper(),
        made.hex,
        made.hex.upper(),
        made.urn,
        made.urn.upper(),
        f"{{{text}}}",
        f"{{{made.hex.upper()}}}",
    ):
        assert normal_uuid(spelling) == text


def ruled(rules: validate_pb2.FieldRules, label: FieldDescriptorProto.Label.ValueType) -> Message:
    """A message with one text field, `id`, that has these rules."""
    file = FileDescriptorProto(name="ruled.proto", syntax="proto3")
    field = file.message_type.add(name="Ruled").field.add(
        name="id", number=1, label=label, type=FieldDescriptorProto.TYPE_STRING
    )
    field.options.Extensions[validate_pb2.field].CopyFrom(rules)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("Ruled"))()


def test_ids_in_a_list_and_ids_without_hyphens_have_one_spelling_too() -> None:
    made = uuid.UUID("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
    uuid_rules, short = validate_pb2.StringRules(uuid=True), validate_pb2.StringRules(tuuid=True)
    for rules, normal in ((uuid_rules, str(made)), (short, made.hex)):
        one = ruled(validate_pb2.FieldRules(string=rules), FieldDescriptorProto.LABEL_OPTIONAL)
        items = validate_pb2.RepeatedRules(items=validate_pb2.FieldRules(string=rules))
        many = ruled(validate_pb2.FieldRules(repeated=items), FieldDescriptorProto.LABEL_REPEATED)
        one.id = made.urn.upper()  # type: ignore[attr-defined]  # made above
        many.id.extend([str(made).upper(), made.hex, "none"])  # type: ignore[attr-defined]  # too
        normalise(one)
        normalise(many)
        assert one.id == normal  # type: ignore[attr-defined]  # made above
        assert list(many.id) == [normal, normal, "none"]  # type: ignore[attr-defined]  # too


@MANY
@given(st.one_of(st.text(max_size=40), st.from_regex(r"[0-9a-f{}:-]{30,40}", fullmatch=True)))
@example("f81d4fae-7dec-11d0-a765-00a0c91e6bf6\n")
@example("{f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
@example("f81d4fae7-dec-11d0-a765-00a0c91e6bf6")
def test_what_is_no_id_stays_and_is_refused(text: str) -> None:
    request = GetUserRequest(user_id=text)
    normalise(request)
    if request.user_id != text:
        assert uuid.UUID(text) == uuid.UUID(request.user_id)
    elif protovalidate.collect_violations(request) == []:
        assert str(uuid.UUID(text)) == text


@MANY
@given(ADDRESSES, st.text(max_size=200))
@example("a..b@c.example", "x")
@example(".!#$%&'*+/=?^_`{|}~-@c.example", "Ada\r\nBcc: all@example.com")
@example("a@b.example", "\u202egnp.exe\u2066 <script>alert(1)</script> http://evil.example")
@example("a@b.example", "=?utf-8?q?evil?= \x00\x1b[31m")
def test_a_mail_goes_to_the_address_alone_whatever_the_name(address: str, name: str) -> None:
    to = normal_email(address)
    if not accepted(to):
        return
    server = parse_smtp_url("smtp://127.0.0.1:25", SENDER, PUBLIC_URL)
    link = wording.verification_link(PUBLIC_URL, "operations/x", "t")
    mail = wording.verification(0, name, link, None)  # type: ignore[arg-type]  # an open enum
    message = message_from_bytes(_compose(server, mail, to, "<id@x>").as_bytes(), policy=SMTP)
    assert [f"{one.username}@{one.domain}" for one in message["To"].addresses] == [to]
    assert message.get_all("Bcc") is None
    assert set(message.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("MIME-Version", "Content-Type"),
    }
    [text, page] = [part.get_content() for part in message.iter_parts()]
    for hidden in "\u202e\u2066\x00\x1b":
        assert hidden not in text + page
    assert "<script" not in page
