"""The command against a whole stack: what a user does, and what can go wrong on the way."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
import uuid
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from .processes import Nexpo, RunningStack


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON of a command that must have succeeded."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def onboard(
    nexpo: Nexpo, *more: str, email: str = "", name: str = "Ada"
) -> subprocess.CompletedProcess[str]:
    """Onboards somebody; the password comes by standard input."""
    email = email or f"{uuid.uuid4().hex[:12]}@example.com"
    line = ("users", "onboard", "--email", email, "--display-name", name, "--password-stdin")
    return nexpo(*line, *more, stdin="correct horse battery\n")


def token(running: RunningStack, email: str) -> str:
    """The token in the verification mail, once it is there."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        url = f"{running.stack.servers.mailbox.url}/mails"
        for mail in httpx.get(url, params={"to": email}, trust_env=False).json():
            if found := re.search(r"[?&]token=([^&\s]+)", mail["text"]):
                return unquote(found[1])
        time.sleep(0.05)
    raise TimeoutError(f"no mail to {email}")


def test_a_user_is_onboarded_read_changed_and_deleted(nexpo: Nexpo, running: RunningStack) -> None:
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    flags = (
        "--databases",
        "databases/postgres,databases/mongodb",
        "--profile.locale",
        "de",
        "--verify-within",
        "1h",
    )
    extra = ("--profile.attributes", '{"k": 1}')

    began = answer(onboard(nexpo, *flags, *extra, "-o", "json", email=email))
    secret = token(running, email)
    verified = answer(
        nexpo("users", "verify-email", began["name"], "--token-stdin", "-o", "json", stdin=secret)
    )
    ended = answer(nexpo("operations", "wait", began["name"], "-o", "json"))
    user = verified["userId"]
    read = answer(nexpo("users", "get", user, "--view", "copies", "-o", "json"))
    # The mask is what was given.
    updated = nexpo("users", "update", user, "--profile.plan", "pro", "--follow")
    listed = nexpo("users", "list", "--page-size", "1000")
    deleted = answer(nexpo("users", "delete", user, "--wait", "-o", "json"))
    gone = nexpo("users", "get", user)

    assert ended["response"]["user"]["profile"] == {"locale": "de", "attributes": {"k": 1.0}}
    assert {copy["database"] for copy in read["copies"] if copy.get("id")} == {
        "databases/postgres",
        "databases/mongodb",
    }
    assert updated.returncode == 0
    assert re.search(r"plan:\s+pro", updated.stdout)
    assert re.search(r"locale:\s+de", updated.stdout)
    assert user in listed.stdout
    assert "USER ID" in listed.stdout
    assert deleted["done"] is True
    assert gone.returncode == 1
    assert "[USER_NOT_FOUND]" in gone.stderr


def test_progress_comes_as_lines_on_a_pipe(nexpo: Nexpo) -> None:
    done = nexpo("health", "check", "--follow")

    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert lines[0].startswith("operations/dev~nexpo.health.v1.CheckHealth~")
    assert "  probe nexpo-db: running" in lines
    assert "  probe nexpo-db: done" in lines
    assert "SUCCEEDED 100 %" in lines
    assert "\x1b" not in done.stdout
    assert done.stdout.index("SUCCEEDED") < done.stdout.index("healthy:")


def test_json_on_standard_output_is_one_document_also_when_followed(nexpo: Nexpo) -> None:
    done = nexpo("health", "check", "--follow", "--output", "json")

    assert answer(done)["response"]["healthy"] is True
    assert "probe nexpo-ai: done" in done.stderr


def test_a_watch_gives_a_line_of_json_for_every_state(nexpo: Nexpo) -> None:
    began = answer(nexpo("health", "check", "-o", "json"))

    done = nexpo("operations", "watch", began["name"], "-o", "json")

    frames = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert frames[-1]["done"] is True
    assert frames[-1]["metadata"]["state"] == "SUCCEEDED"


def test_json_goes_in_and_the_same_request_is_the_same_operation(nexpo: Nexpo) -> None:
    request = json.dumps({"requestId": uuid.uuid4().hex})

    first = answer(nexpo("health", "check", "--json", request, "-o", "json"))
    second = answer(nexpo("health", "check", "--json", "-", "-o", "json", stdin=request))

    assert first["name"] == second["name"]


def test_what_the_gateway_refuses_is_said_as_the_gateway_says_it(
    nexpo: Nexpo, running: RunningStack
) -> None:
    rest = httpx.post(
        f"{running.stack.gateway.url}/v1/users:onboard",
        json={"email": "bad", "password": "short"},
        headers={"authorization": f"Bearer {running.stack.api_key}"},
        trust_env=False,
    ).json()
    line = ("users", "onboard", "--email", "bad", "--password-env", "P")

    words = nexpo(*line, P="short")
    machine = nexpo(*line, "-o", "json", P="short")

    error = json.loads(machine.stderr)["error"]
    assert (words.returncode, machine.returncode) == (1, 1)
    assert error["reason"] == rest["reason"] == "INVALID_ARGUMENT"
    assert error["message"] == rest["detail"]
    assert error["hint"] == rest["hint"]
    assert error["fields"] == rest["errors"]
    for field in rest["errors"]:
        assert f"  {field['field']}: {field['description']}" in words.stderr
    assert f"hint: {rest['hint']}" in words.stderr
    assert "short" not in words.stderr.replace("shorter", "")


def test_a_missing_and_a_wrong_key_are_told_apart(nexpo: Nexpo) -> None:
    without = nexpo("users", "list", NEXPO_API_KEY="")
    wrong = nexpo("users", "list", "--api-key", "nobody-s")

    assert (without.returncode, wrong.returncode) == (1, 1)
    assert "set NEXPO_API_KEY" in without.stderr
    assert "[UNAUTHENTICATED]" in wrong.stderr
    assert "nobody-s" not in wrong.stderr


def test_a_wait_that_is_over_ends_with_3_and_says_how_to_go_on(nexpo: Nexpo) -> None:
    done = onboard(nexpo, "--wait", "--timeout", "3s")

    assert done.returncode == 3
    name = re.search(r"nexpo operations watch (operations/\S+[^`\s.])", done.stderr)
    assert name is not None
    waited = nexpo("operations", "wait", name[1], "--timeout", "200ms")
    assert waited.returncode == 3


def test_an_operation_that_failed_ends_with_1_and_its_reason(nexpo: Nexpo) -> None:
    began = answer(onboard(nexpo, "-o", "json"))
    assert nexpo("operations", "cancel", began["name"]).returncode == 0

    done = nexpo("operations", "watch", began["name"])
    again = nexpo("operations", "wait", began["name"], "-o", "json")

    assert done.returncode == 1
    assert "CANCELLED" in done.stdout
    assert "[OPERATION_CANCELLED]" in done.stderr
    assert again.returncode == 1
    assert json.loads(again.stdout)["error"]["code"] == 1
    assert json.loads(again.stderr)["error"]["reason"] == "OPERATION_CANCELLED"
    assert nexpo("operations", "delete", began["name"]).stdout == "Done.\n"
    end = time.monotonic() + 90
    # Temporal forgets it a moment later than it says so.
    while nexpo("operations", "get", began["name"]).returncode == 0:
        assert time.monotonic() < end


def test_an_undo_that_needs_a_human_ends_a_wait_with_3_and_is_marked_done(
    nexpo: Nexpo, running: RunningStack
) -> None:
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    name = answer(onboard(nexpo, "-o", "json", email=email))["name"]
    token(running, email)  # now there is something to undo
    running.do(running.stack.servers.mongodb.kill())
    try:
        nexpo("operations", "cancel", name)
        blocked = nexpo("operations", "wait", name, "--timeout", "60s")
        task = ("create-in-mongodb", "--note", "by hand")
        tasks = answer(nexpo("tasks", "list", "-o", "json"))["tasks"]
        done = nexpo("tasks", "mark-done", name, *task)
    finally:
        running.do(running.stack.servers.mongodb.start())
    ended = nexpo("operations", "wait", name)

    assert blocked.returncode == 3
    assert "UNDO_BLOCKED" in blocked.stdout
    assert "nexpo tasks list" in blocked.stderr
    assert [(task["task"], task["operation"]) for task in tasks] == [("create-in-mongodb", name)]
    assert done.returncode == 0, done.stderr
    assert "create in mongodb" in done.stdout
    assert ended.returncode == 1
    assert "[OPERATION_CANCELLED]" in ended.stderr


def test_ctrl_c_leaves_the_operation_alone_and_names_it(nexpo: Nexpo) -> None:
    began = answer(onboard(nexpo, "-o", "json"))
    watching = nexpo.begin("operations", "watch", began["name"])
    assert watching.stdout is not None
    for line in watching.stdout:
        if line.startswith("WAITING"):
            break

    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=90)

    assert watching.returncode == 130
    assert f"nexpo operations watch {began['name']}" in said
    assert "Traceback" not in said
    assert answer(nexpo("operations", "get", began["name"], "-o", "json")).get("done") is not True


def test_a_reader_that_leaves_is_no_error(nexpo: Nexpo) -> None:
    began = answer(onboard(nexpo, "-o", "json"))
    watching = nexpo.begin("operations", "watch", began["name"])
    assert watching.stdout is not None
    watching.stdout.readline()
    watching.stdout.close()
    nexpo("operations", "cancel", began["name"])

    assert watching.stderr is not None
    assert watching.stderr.read() == ""
    assert watching.wait(90) == 141


def test_nothing_in_an_answer_can_paint_the_screen(nexpo: Nexpo, running: RunningStack) -> None:
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    name = "[bold]x\u202e\u2066"  # what the gateway takes; controls it does not

    began = answer(onboard(nexpo, "-o", "json", email=email, name=name))
    token(running, email)  # now the user is in the stores
    listed = nexpo("users", "list", "--page-size", "1000").stdout

    assert "\u202e" not in listed
    assert "\u2066" not in listed
    assert r"[bold]x\u202e\u2066" in listed
    nexpo("operations", "cancel", began["name"])


@pytest.mark.parametrize("output", [(), ("-o", "json")], ids=["table", "json"])
def test_a_terminal_of_ascii_alone_shows_every_name(
    running: RunningStack, nexpo: Nexpo, output: tuple[str, ...]
) -> None:
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    began = answer(onboard(nexpo, "-o", "json", email=email, name="Жанна \U0001f389"))
    token(running, email)  # now the user is in the stores
    gateway = running.stack.gateway
    old = Nexpo(
        {
            "NEXPO_ADDRESS": gateway.grpc_address,
            "NEXPO_API_KEY": running.stack.api_key,
            "PYTHONIOENCODING": "ascii",
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
            "LC_ALL": "POSIX",
        }
    )
    listed = old("users", "list", "--page-size", "1000", *output)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert email in listed.stdout
    refused = old("users", "onboard", "--email", "ж", "--display-name", "Ж", "--password-stdin")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    nexpo("operations", "cancel", began["name"])


def test_what_could_paint_the_screen_is_refused_and_told_without_it(nexpo: Nexpo) -> None:
    refused = onboard(nexpo, email="esc@example.com", name="x\x1b[31m\x07")
    assert refused.returncode == 1
    assert "display_name" in refused.stderr
    assert "\x1b[31m" not in refused.stdout + refused.stderr


def test_a_next_page_is_offered_and_taken(nexpo: Nexpo) -> None:
    for _ in range(2):
        answer(nexpo("health", "check", "--wait", "-o", "json"))

    first = nexpo("operations", "list", "--page-size", "1")
    page = re.search(r"--page-token=\S+", first.stdout)
    assert page is not None
    second = nexpo("operations", "list", "--page-size", "1", page[0])
    foreign = nexpo("users", "list", page[0])

    assert second.returncode == 0
    assert first.stdout.splitlines()[1] != second.stdout.splitlines()[1]
    assert "[INVALID_PAGE_TOKEN]" in foreign.stderr


def test_a_watch_goes_on_when_the_gateway_is_killed_and_comes_back(
    nexpo: Nexpo, running: RunningStack
) -> None:
    began = answer(onboard(nexpo, "-o", "json"))
    watching = nexpo.begin("operations", "watch", began["name"])
    assert watching.stdout is not None
    seen: list[str] = []
    waits = threading.Event()

    def read() -> None:
        assert watching.stdout is not None
        for line in watching.stdout:
            seen.append(line)
            if line.startswith("WAITING"):
                waits.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert waits.wait(90)

    running.do(running.stack.gateway.kill())
    running.do(running.stack.gateway.start())
    nexpo("operations", "cancel", began["name"])

    assert watching.wait(90) == 1
    reader.join()
    assert any(line.startswith("The connection broke") for line in seen)
    assert any(line.startswith("CANCELLED") for line in seen)


@pytest.mark.parametrize("command", ["list", "list-operation-tasks"])
def test_no_open_tasks_is_an_answer(nexpo: Nexpo, command: str) -> None:
    assert nexpo("tasks", command).stdout == "None.\n"
    assert answer(nexpo("tasks", command, "-o", "json")) == {}
