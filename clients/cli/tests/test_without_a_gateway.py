"""Help, mistakes on the command line, and a gateway that is not there."""

from __future__ import annotations

import json
import os
import pty
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor

from nexpo import registry
from nexpo_cli.naming import command_names, group_names

from .processes import Nexpo

KEY = {"NEXPO_API_KEY": "k"}


def words(text: str) -> str:
    """The text without frames and folding."""
    return " ".join(text.replace("│", " ").split())


def test_help_lists_every_service_and_says_how_commands_end(alone: Nexpo) -> None:
    done = alone("--help")

    assert done.returncode == 0
    said = words(done.stdout)
    for group in ("health", "operations", "tasks", "users"):
        assert f" {group} " in said
    assert "Exit codes: 0 done; 1 refused" in said
    assert "NEXPO_API_KEY" in said
    assert "UserRecordActivities" not in said


def test_help_of_a_command_is_the_proto_s_own_words(alone: Nexpo) -> None:
    said = words(alone("users", "onboard", "--help").stdout)

    assert "Whatever fails or expires before that is undone everywhere." in said
    assert "permission users.create" in said
    assert "--email TEXT E-mail address. [an e-mail address; at most" in said
    assert "Databases to create the user in, by name (databases/{id});" in said
    assert "--profile.time-zone TEXT IANA time zone, such as Europe/Zurich." in said
    assert "--verify-within DURATION" in said
    assert "--password-stdin" in said
    assert "--follow" in said


def test_help_tells_the_values_of_an_enum(alone: Nexpo) -> None:
    assert "One of basic, copies." in words(alone("users", "get", "--help").stdout)


def test_only_what_begins_an_operation_can_be_followed(alone: Nexpo) -> None:
    assert "--follow" not in alone("users", "get", "--help").stdout


def test_every_public_rpc_is_a_command_by_its_full_name_too(alone: Nexpo) -> None:
    assert alone("users", "onboard-user", "--help").returncode == 0
    assert alone("tasks", "mark-operation-task-done", "--help").returncode == 0


def test_help_comes_at_once(alone: Nexpo) -> None:
    def worked() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        alone("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    worked()  # writes the bytecode
    # CPU seconds: the clock tells more of the other tests on this machine.
    assert min(worked() for _ in range(3)) < 0.6


def test_help_loads_no_grpc() -> None:
    code = (
        "import sys; from nexpo_cli.app import make_app; make_app(); print('grpc' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_the_contract_s_commands_are_short_and_unique() -> None:
    services = [service for service in registry.services() if registry.is_public(service)]
    groups = group_names(services)

    names = {
        f"{groups[service.full_name]} {command}"
        for service in services
        for command in command_names(service).values()
    }

    assert {"users onboard", "users list", "users verify-email", "health check"} <= names
    assert {"operations watch", "tasks list", "tasks retry", "tasks mark-done"} <= names
    assert len(names) == sum(len(service.methods) for service in services)


def service(package: str, name: str, *methods: str) -> ServiceDescriptor:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.{name}.proto", package=package)
    file.message_type.add(name=f"{name}Message")
    added = file.service.add(name=name)
    for method in methods:
        kind = f".{package}.{name}Message"
        added.method.add(name=method, input_type=kind, output_type=kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found: ServiceDescriptor = pool.FindServiceByName(f"{package}.{name}")
    return found


def test_names_that_would_clash_stay_whole() -> None:
    parcels = service("nexpo.parcels.v1", "ParcelService", "GetParcel", "GetParcels", "SendParcel")
    other = service("acme.parcels.v1", "ParcelService", "GetParcel")
    companies = service("nexpo.trade.v1", "CompanyService", "HTTPPing", "Company")

    assert command_names(parcels) == {
        "GetParcel": "get-parcel",
        "GetParcels": "get-parcels",
        "SendParcel": "send",
    }
    assert group_names([parcels, other]) == {
        "nexpo.parcels.v1.ParcelService": "nexpo-parcels-v1-parcelservice",
        "acme.parcels.v1.ParcelService": "acme-parcels-v1-parcelservice",
    }
    assert group_names([companies]) == {"nexpo.trade.v1.CompanyService": "companies"}
    assert command_names(companies) == {"HTTPPing": "http-ping", "Company": "company"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (["frobnicate"], "Unknown command"),
        (["users", "onbord"], 'Did you mean "onboard"?'),
        (["users", "onboard", "--emial", "x"], "Did you mean --email?"),
        (["users", "list", "--page-size", "many"], "must be a whole number"),
        (["users", "list", "--timeout", "soon"], "must be a duration"),
        (["users", "list", "--timeout", "0"], "must be more than nothing"),
        (["users", "list", "--output", "yaml"], "yaml"),
        (["users", "list", "--address", "http://x"], "must be host:port"),
        (["users", "list", "--api-key", "a\nb"], "was it copied whole?"),
        (["users", "list", "--ca", "/nonexistent"], "cannot be read"),
        (["users", "get"], "USER-ID must be given"),
        (["users", "onboard", "--json", "{"], "--json: is not JSON"),
        (["users", "onboard", "--email", "a@b.c"], "--password is needed"),
    ],
)
def test_a_wrong_command_line_is_explained_and_ends_with_2(
    alone: Nexpo, line: list[str], problem: str
) -> None:
    done = alone(*line)

    assert done.returncode == 2
    assert problem in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_gateway_that_is_away_is_named_and_ends_with_4(alone: Nexpo) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        done = alone("users", "list", "--address", address, **KEY)
        start = alone("health", "check", "--follow", "--request-id", "r7", NEXPO_ADDRESS=address)

    assert done.returncode == 4
    assert f"No gateway answers at {address}" in done.stderr
    assert "NEXPO_ADDRESS" in done.stderr
    assert start.returncode == 4
    assert "--request-id r7" in start.stderr


def test_an_error_is_json_for_machines(alone: Nexpo) -> None:
    done = alone("users", "list", "--address", "127.0.0.1:1", "--output", "json", **KEY)

    assert done.returncode == 4
    assert done.stdout == ""
    assert json.loads(done.stderr)["error"]["code"] == "UNAVAILABLE"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_gateway_that_says_nothing_is_given_up_in_time(alone: Nexpo, silent: str) -> None:
    begin = time.monotonic()

    done = alone("users", "list", "--timeout", "500ms", "--address", silent, **KEY)

    assert done.returncode == 4
    assert "did not answer within 0.5 s" in done.stderr
    assert time.monotonic() - begin < 10


def test_a_server_that_speaks_something_else_is_no_stack_trace(alone: Nexpo) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(90)

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        done = alone("users", "list", "--timeout", "5s", "--address", address, **KEY)
        thread.join()

    assert done.returncode in (1, 4)
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_the_file_of_settings_is_used_and_its_mistakes_are_named(
    alone: Nexpo, tmp_path: Path
) -> None:
    file = tmp_path / "nexpo" / "config.toml"
    file.parent.mkdir()
    file.write_text('address = "127.0.0.1:1"\napi_key = "k"\n')
    used = alone("users", "list", XDG_CONFIG_HOME=str(tmp_path))
    over = alone("users", "list", NEXPO_CONFIG=str(file), NEXPO_ADDRESS="127.0.0.1:2")
    file.write_text("adress = 1")
    wrong = alone("users", "list", NEXPO_CONFIG=str(file))

    assert "127.0.0.1:1" in used.stderr
    assert "127.0.0.1:2" in over.stderr
    assert wrong.returncode == 2
    assert "adress is unknown" in wrong.stderr


def test_a_password_is_asked_for_on_a_terminal_and_not_echoed(alone: Nexpo) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "nexpo_cli", "users", "onboard", "--address", "127.0.0.1:1"]
    process = subprocess.Popen(
        command,
        env=alone.environment(**KEY, TERM="dumb"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said = ""
    while "Password:" not in said:
        said += os.read(ours, 1000).decode()
    os.write(ours, b"hunter2-hunter2\n")
    try:
        while chunk := os.read(ours, 1000).decode():
            said += chunk
    except OSError:
        pass  # how Linux says that the other side is closed
    os.close(ours)

    assert process.wait(90) == 4
    assert "hunter2" not in said
    assert "No gateway answers" in said


def test_a_page_token_may_begin_as_a_flag_does(alone: Nexpo) -> None:
    # As one that is offered: --page-token=TOKEN.
    done = alone("operations", "list", "--page-token=-abc", "--timeout", "1s")

    assert done.returncode == 4, done.stderr
