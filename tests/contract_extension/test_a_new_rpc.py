"""RPCs that the gateway has never seen, called over gRPC, REST and the command line."""

from __future__ import annotations

import filecmp
import uuid
from collections.abc import Iterator

import pytest

from nexpo_dev.pytest_plugin import TemporalAddress
from nexpo_tools.generate import ROOT
from tests.contract_extension.extended import ExtendedGateway, build, environment
from tests.contract_extension.surfaces import Call, Cli, Grpc, Json, Refused, Rest, Surface

SERVICE = "nexpo.votes.v1.VoteService"
OPERATIONS = "nexpo.operations.v1.OperationService"


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, temporal: TemporalAddress
) -> Iterator[ExtendedGateway]:
    root = tmp_path_factory.mktemp("extended")
    build(root)
    extended = ExtendedGateway(root, temporal.url, environment(root))
    try:
        extended.start()
        yield extended
    finally:
        extended.stop()


@pytest.fixture(scope="module")
def surfaces(gateway: ExtendedGateway) -> dict[str, Surface]:
    return {"grpc": Grpc(gateway), "rest": Rest(gateway), "cli": Cli(gateway)}


@pytest.fixture(params=["grpc", "rest", "cli"])
def surface(request: pytest.FixtureRequest, surfaces: dict[str, Surface]) -> Surface:
    return surfaces[request.param]


def open_vote(**request: object) -> Call:
    words = ("votes", "open")
    return Call(SERVICE, "OpenVote", "POST", "/v1/votes:open", words, dict(request))


def reach(name: str, method: str, command: str, verb: str = "POST", **request: object) -> Call:
    path = f"/v1/{name}:{method[0].lower()}{method[1:]}"
    found = {"operation": name, **request}
    return Call(SERVICE, method, verb, path, ("votes", command, name), found, ("operation",))


def cast(name: str, voter: str, choice: str) -> Call:
    return reach(name, "CastBallot", "cast-ballot", voter=voter, choice=choice)


def count(name: str) -> Call:
    return reach(name, "CountBallots", "count-ballots", "GET")


def wait(name: str) -> Call:
    words = ("operations", "wait", name)
    path = f"/v1/{name}:wait"
    return Call(OPERATIONS, "WaitOperation", "POST", path, words, {"name": name}, ("name",))


def refusals(surfaces: dict[str, Surface], call: Call, key: str = "all-key") -> set[Refused]:
    """What the surfaces say of a call that is refused; one answer when they agree."""
    found = set()
    for surface in surfaces.values():
        with pytest.raises(Refused) as refused:
            surface.call(call, key)
        found.add(refused.value)
    return found


def test_a_vote_is_opened_cast_counted_and_ended(surface: Surface) -> None:
    began = surface.call(open_vote(question="Shall we?", ballots=2, request_id=uuid.uuid4().hex))
    name = began["name"]

    assert began["metadata"]["type"] == "nexpo.votes.v1.OpenVote"
    assert surface.call(cast(name, "ada", "CHOICE_YES")) == {"missing": 1}
    assert surface.call(count(name)) == {"yes": 1}
    assert surface.call(cast(name, "bob", "CHOICE_YES")) == {}
    ended: Json = surface.call(wait(name))
    assert ended["done"] is True
    assert ended["response"] == {
        "@type": "type.googleapis.com/nexpo.votes.v1.OpenVoteResponse",
        "question": "Shall we?",
        "decision": "CHOICE_YES",
        "voters": ["ada", "bob"],
        "countedBy": "nexpo-gateway",
    }
    assert [step["name"] for step in ended["metadata"]["steps"]] == ["count"]


def test_one_request_id_is_one_operation_on_every_surface(surfaces: dict[str, Surface]) -> None:
    call = open_vote(question="Once only?", ballots=1, request_id=uuid.uuid4().hex)

    assert len({surface.call(call)["name"] for surface in surfaces.values()}) == 1


def test_a_malformed_request_is_refused_alike(surfaces: dict[str, Surface]) -> None:
    (refused,) = refusals(surfaces, open_vote(question="Eh?", ballots=101))

    assert refused.reason == "INVALID_ARGUMENT"
    assert [field for field, _ in refused.fields] == ["question", "ballots"]


def test_a_missing_permission_is_refused_alike(surfaces: dict[str, Surface]) -> None:
    call = open_vote(question="May I?", ballots=1)

    (refused,) = refusals(surfaces, call, key="count-key")

    assert refused.reason == "PERMISSION_DENIED"
    assert "votes.open" in refused.message


def test_what_the_workflow_itself_refuses_is_refused_alike(surfaces: dict[str, Surface]) -> None:
    began = surfaces["grpc"].call(open_vote(question="Twice?", ballots=2))
    name = began["name"]
    surfaces["grpc"].call(cast(name, "ada", "CHOICE_NO"))

    (refused,) = refusals(surfaces, cast(name, "ada", "CHOICE_YES"))

    assert refused.message == "One voter, one ballot."
    assert refused.fields == (("voter", "has voted"),)


def test_an_update_that_names_no_vote_is_refused_alike(surfaces: dict[str, Surface]) -> None:
    (refused,) = refusals(surfaces, cast("operations/acme~nowhere~x~y", "ada", "CHOICE_YES"))

    assert refused.reason == "OPERATION_NOT_FOUND"


def test_reflection_shows_the_new_service(gateway: ExtendedGateway) -> None:
    client = Grpc(gateway)

    assert SERVICE in client.database.get_services()
    methods = client.pool.FindServiceByName(SERVICE).methods_by_name
    assert set(methods) == {"OpenVote", "CastBallot", "CountBallots"}


def test_help_explains_the_new_commands_in_the_words_of_the_proto(
    gateway: ExtendedGateway,
) -> None:
    about = " ".join(Cli(gateway).run("votes", "cast-ballot", "--help").stdout.split())

    assert "Casts a ballot, once per voter." in about
    assert "One of yes, no." in about


def test_the_gateway_itself_was_not_edited(gateway: ExtendedGateway) -> None:
    package = "services/gateway/nexpo_gateway"
    compared = filecmp.dircmp(ROOT / package, gateway.root / package, ignore=["__pycache__"])

    def differences(folder: filecmp.dircmp[str]) -> list[str]:
        here = [*folder.left_only, *folder.right_only, *folder.diff_files]
        return here + [name for sub in folder.subdirs.values() for name in differences(sub)]

    assert differences(compared) == ["open_vote.py"]
