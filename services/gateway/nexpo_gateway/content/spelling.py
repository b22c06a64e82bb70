"""One spelling for what has several: e-mail addresses and UUIDs.

Decided here alone, before anything compares or records a request: nothing behind the edge
spells an address or an id anew.
"""

from __future__ import annotations

import functools
import re
import unicodedata

import idna
from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from .texts import texts

_HEX = "[0-9a-fA-F]"
_HYPHENED = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_UUID = re.compile(
    rf"(?:urn:uuid:)?(?:({_HYPHENED})|\{{({_HYPHENED})\}}|({_HEX}{{32}})|\{{({_HEX}{{32}})\}})",
    re.IGNORECASE,
)
# More than any address has: the work grows faster than the text.
_LONGEST_EMAIL = 1000
_JOINERS = "\u200c\u200d"


def normalise(request: Message) -> None:
    """Brings every field with the rule `email`, `uuid` or `tuuid` into its one spelling.

    What is none stays as it is, for validation to refuse by its name.
    """
    for text in list(texts(request, _is_email)):
        text.replace(normal_email(text.value))
    for text in list(texts(request, _is_uuid)):
        text.replace(normal_uuid(text.value))
    for text in list(texts(request, _is_short_uuid)):
        text.replace(normal_uuid(text.value).replace("-", ""))


def normal_email(address: str) -> str:
    """The address in lower case, its domain as the ASCII names that DNS knows.

    A label in ASCII is what DNS has, whatever it stands for, so it stays: also `ab--cd`, and an
    `xn--` that decodes to nothing. Any other is mapped as browsers do (UTS 46, not
    transitional) and becomes Punycode (RFC 3492), also where IDNA 2008 would have no such
    name: domains of emoji exist. Thus the outcome is its own normal form, and every spelling
    of a name has the same.

    Returns:
        The normal form; what is no address, unchanged.
    """
    if len(address) > _LONGEST_EMAIL:
        return address
    local, at, domain = unicodedata.normalize("NFC", address).rpartition("@")
    try:
        mapped = domain.lower() if domain.isascii() else idna.uts46_remap(domain)
        domain = ".".join(map(_ascii_label, mapped.split(".")))
    except (idna.IDNAError, UnicodeError):
        return address
    return f"{local.lower()}{at}{domain}"


def normal_uuid(text: str) -> str:
    """The UUID in RFC 9562's form and lower case; what is none, unchanged."""
    match = _UUID.fullmatch(text)
    if match is None:
        return text
    digits = "".join(part or "" for part in match.groups()).replace("-", "").lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _ascii_label(label: str) -> str:
    """The label as DNS has it. Raises: IDNAError, UnicodeError: it can be none."""
    if label.isascii():
        return label
    if label.startswith("xn--"):
        raise idna.IDNAError("Punycode is ASCII")
    # What no reader could tell from another label, or from none.
    idna.check_initial_combiner(label)
    idna.check_bidi(label)
    for position, character in enumerate(label):
        if character in _JOINERS and not idna.valid_contextj(label, position):
            raise idna.IDNAError("a joiner that joins nothing")
    return f"xn--{label.encode('punycode').decode('ascii')}"


@functools.cache  # of the contract's fields: reading options costs more than what they say
def _is_email(field: FieldDescriptor) -> bool:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return bool(rules.string.email or rules.repeated.items.string.email)


@functools.cache
def _is_uuid(field: FieldDescriptor) -> bool:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return bool(rules.string.uuid or rules.repeated.items.string.uuid)


@functools.cache
def _is_short_uuid(field: FieldDescriptor) -> bool:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return bool(rules.string.tuuid or rules.repeated.items.string.tuuid)
