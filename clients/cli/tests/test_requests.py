"""What is typed becomes the request: every kind of field, JSON, secrets."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor

from nexpo_cli.exits import UsageError
from nexpo_cli.flags import flags_of
from nexpo_cli.requests import SecretSource, Typed, build, parse


def typed(method: MethodDescriptor, **given: str | list[str]) -> Typed:
    """What was typed, by the field's path with `__` for its dots."""
    flags = {flag.dotted: flag for flag in flags_of(method)}
    found = Typed()
    for name, text in {"kind_id": "k", **given}.items():
        flag = flags[name.replace("__", ".")]
        found.given[flag] = parse(flag, [text] if isinstance(text, str) else text)
    return found


def built(method: MethodDescriptor, **given: str | list[str]) -> dict[str, Any]:
    """The request's JSON, without what the path says."""
    found = json_format.MessageToDict(build(method, typed(method, **given)))
    return {k: v for k, v in found.items() if k not in ("parent", "kindId")}


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("text", "a b, c", "a b, c"),
        ("data", "aGk", "aGk="),
        ("small", "-5", -5),
        ("large", "9007199254740993", "9007199254740993"),
        ("natural", "0", None),
        ("number", "1e3", 1000.0),
        ("colour", "dark-red", "COLOUR_DARK_RED"),
        ("colour", "DARK_RED", "COLOUR_DARK_RED"),
        ("colour", "COLOUR_BLUE", "COLOUR_BLUE"),
        ("within", "90s", "90s"),
        ("within", "24h", "86400s"),
        ("within", "1h30m", "5400s"),
        ("within", "250ms", "0.250s"),
        ("within", "7", "7s"),
        ("since", "2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z"),
        ("since", "2026-01-31T10:00:00+01:00", "2026-01-31T09:00:00Z"),
        ("extra", '{"k": [1, null]}', {"k": [1.0, None]}),
        ("value", "[true]", [True]),
        ("rank", "0", 0),
        ("update_mask", "text,part.name", "text,part.name"),
        ("part", '{"name": "n", "inner": {"count": 2}}', {"name": "n", "inner": {"count": 2}}),
        ("part__name", "n", {"name": "n"}),
        ("tags", "a, b", ["a", "b"]),
        ("tags", ["a,b", "c"], ["a", "b", "c"]),
        ("tags", '["a,b"]', ["a,b"]),
        ("colours", "blue,dark-red", ["COLOUR_BLUE", "COLOUR_DARK_RED"]),
        ("parts", ['{"name": "a"}', '[{"name": "b"}, {}]'], [{"name": "a"}, {"name": "b"}, {}]),
        ("pauses", "1s,2m", ["1s", "120s"]),
        ("labels", ["a=1", "b=x=y,z"], {"a": "1", "b": "x=y,z"}),
        ("labels", '{"a": "1"}', {"a": "1"}),
        ("shelves", 'top={"count": 1}', {"top": {"count": 1}}),
        ("paints", "3=blue", {"3": "COLOUR_BLUE"}),
        ("note", "", ""),
        ("output", "x", "x"),
    ],
)
def test_a_text_becomes_the_value_of_its_field(
    kinds: MethodDescriptor, field: str, text: str | list[str], value: object
) -> None:
    name = field.partition("__")[0]
    camel = name.split("_")[0] + "".join(part.capitalize() for part in name.split("_")[1:])

    found = built(kinds, **{field: text})

    found.pop("updateMask", None) if name != "update_mask" else None
    assert found == ({} if value is None else {camel: value})


def test_an_any_is_opened_by_its_type(kinds: MethodDescriptor) -> None:
    value = {"@type": "type.googleapis.com/nexpo.users.v1.Profile", "locale": "de"}

    assert built(kinds, any=json.dumps(value)) == {"any": value}


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("small", "x", "must be a whole number"),
        ("small", "2147483648", "must be between -2147483648 and 2147483647"),
        ("natural", "-1", "must be between 0 and 4294967295"),
        ("number", "much", "must be a number"),
        ("number", "1e999", "is too large"),
        ("data", "a b", "must be base64"),
        ("data", "@/nonexistent/file", "cannot be read"),
        ("colour", "green", "must be one of dark-red, blue"),
        ("within", "soon", "must be a duration such as 90s"),
        ("since", "yesterday", "must be a time such as"),
        ("extra", "{x", "is not JSON"),
        ("extra", "[1]", "does not fit"),
        ("part", '{"nam": 1}', "does not fit"),
        ("part", "@/nonexistent/file", "cannot be read"),
        ("labels", "a", "must be key=value"),
        ("text", "\udcff", "is not valid UTF-8"),
        ("any", '{"@type": "type.googleapis.com/no.Such"}', "does not fit"),
    ],
)
def test_what_is_no_value_of_its_field_is_refused_in_plain_words(
    kinds: MethodDescriptor, field: str, text: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        typed(kinds, **{field: text})


def test_flags_are_named_after_their_fields_and_never_after_the_command_s_own(
    kinds: MethodDescriptor,
) -> None:
    names = {flag.dotted: flag.name for flag in flags_of(kinds)}

    assert names["part.name"] == "--part.name"
    assert names["kind_id"] == "--kind-id"
    assert names["output"] == "--request.output"
    # The path says the one; --timeout stands for the other.
    assert "parent" not in names
    assert "timeout" not in names
    # A message that holds itself is not unfolded for ever.
    assert "part.inner" in names
    assert "part.inner.name" not in names


def test_what_the_path_names_comes_first_and_needs_no_flag(kinds: MethodDescriptor) -> None:
    assert [flag.dotted for flag in flags_of(kinds) if flag.positional] == ["kind_id"]
    assert flags_of(kinds)[0].positional

    with pytest.raises(UsageError, match="KIND-ID must be given"):
        build(kinds, Typed())


def test_flags_change_what_the_json_says(kinds: MethodDescriptor, tmp_path: Any) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"kindId": "j", "text": "json", "part": {"name": "a", "count": 1}}')
    found = typed(kinds, part__name="b")
    del found.given[next(flag for flag in found.given if flag.dotted == "kind_id")]
    found.json = f"@{file}"

    request: Any = build(kinds, found)

    assert (request.kind_id, request.text) == ("j", "json")
    assert (request.part.name, request.part.count) == ("b", 1)


def test_json_comes_from_standard_input(
    kinds: MethodDescriptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"kind_id": "s"}'))

    request: Any = build(kinds, Typed(json="-"))

    assert request.kind_id == "s"


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"nope": 1}', "@/nonexistent/file", "null"])
def test_json_that_is_no_request_is_refused(kinds: MethodDescriptor, text: str) -> None:
    with pytest.raises(UsageError, match="--json: "):
        build(kinds, Typed(json=text))


def test_of_a_choice_only_one_can_be_given(kinds: MethodDescriptor) -> None:
    with pytest.raises(UsageError, match=r"--left or --right\.name"):
        build(kinds, typed(kinds, left="l", right__name="r"))

    assert built(kinds, right='{"name": "a"}', right__name="b") == {"right": {"name": "b"}}


def test_the_update_mask_is_what_was_given(kinds: MethodDescriptor) -> None:
    assert built(kinds, part__name="n", tags="t")["updateMask"] == "part.name"
    assert built(kinds, text="t", update_mask="part")["updateMask"] == "part"


def test_a_secret_comes_from_where_nobody_sees_it(
    kinds: MethodDescriptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = next(flag for flag in flags_of(kinds) if flag.dotted == "login.secret")
    monkeypatch.setenv("TOKEN", "from the environment")
    monkeypatch.setattr("sys.stdin", io.StringIO("from standard input\n"))

    found = typed(kinds)
    found.sources[secret] = SecretSource(variable="TOKEN")
    by_variable: Any = build(kinds, found)
    found.sources[secret] = SecretSource(stdin=True)
    by_stdin: Any = build(kinds, found)

    assert by_variable.login.secret == "from the environment"
    assert by_stdin.login.secret == "from standard input"


def test_a_secret_on_the_command_line_works_and_warns(
    kinds: MethodDescriptor, capsys: pytest.CaptureFixture[str]
) -> None:
    assert built(kinds, login__secret="hunter2") == {"login": {"secret": "hunter2"}}

    said = capsys.readouterr().err
    assert "warning: --login.secret" in said
    assert "hunter2" not in said


def test_a_secret_has_one_source_and_standard_input_one_reader(kinds: MethodDescriptor) -> None:
    secret = next(flag for flag in flags_of(kinds) if flag.dotted == "login.secret")
    twice = typed(kinds, login__secret="x")
    twice.sources[secret] = SecretSource(variable="TOKEN")
    both = Typed(json="-", sources={secret: SecretSource(stdin=True)})
    unset = typed(kinds)
    unset.sources[secret] = SecretSource(variable="NEXPO_TEST_NEVER_SET")

    with pytest.raises(UsageError, match="more than one way"):
        build(kinds, twice)
    with pytest.raises(UsageError, match="Only one can read standard input"):
        build(kinds, both)
    with pytest.raises(UsageError, match="NEXPO_TEST_NEVER_SET is not set"):
        build(kinds, unset)
