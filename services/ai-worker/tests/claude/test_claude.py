"""The client of Claude under every fault: what may pass, what stays, what is logged."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from prometheus_client import REGISTRY

from nexpo_ai_worker.claude.client import Claude, Prompt, open_claude
from nexpo_ai_worker.claude.errors import retry_after
from nexpo_ai_worker.settings import AiSettings
from nexpo_dev.servers.stand_ins import ClaudeServer
from nexpo_runtime.errors import Fault
from nexpo_runtime.settings import SettingsError

OpenClaude = Callable[..., contextlib.AbstractAsyncContextManager[Claude]]

PROMPT = Prompt("Write one short sentence of welcome.", "<name>Ada</name>")


async def _failure(claude: Claude) -> Fault:
    with pytest.raises(Fault) as failed:
        await claude.ask(PROMPT, "key")
    return failed.value


async def test_an_answer_comes_with_its_model_and_what_it_cost(well: Claude) -> None:
    answer = await well.ask(PROMPT, "acme/nexpo.users.v1.OnboardUser/r1/write welcome")

    assert answer.text
    assert answer.complete
    assert answer.model.startswith("claude-")
    assert answer.input_tokens > 0
    assert answer.output_tokens > 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        *(({"kind": "status", "status": s}, "MODEL_UNAVAILABLE") for s in (408, 409, 429)),
        *(({"kind": "status", "status": s}, "MODEL_UNAVAILABLE") for s in (500, 503, 504, 529)),
        *(({"kind": "status", "status": s}, "MODEL_REFUSED") for s in (400, 401, 402, 403)),
        *(({"kind": "status", "status": s}, "MODEL_REFUSED") for s in (404, 413, 422)),
        ({"kind": "reset"}, "MODEL_UNAVAILABLE"),
        ({"kind": "cut"}, "MODEL_UNAVAILABLE"),
        ({"kind": "truncate"}, "MODEL_UNAVAILABLE"),
        ({"kind": "nonsense"}, "MODEL_UNAVAILABLE"),
        ({"kind": "error_event"}, "MODEL_UNAVAILABLE"),
        ({"kind": "empty"}, "MODEL_UNAVAILABLE"),
        ({"kind": "refusal"}, "MODEL_REFUSED"),
    ],
    ids=lambda value: str(value.get("status", value["kind"])) if isinstance(value, dict) else "",
)
async def test_only_what_another_try_may_mend_is_unavailable(
    opened: OpenClaude, control: httpx.AsyncClient, fault: dict[str, object], reason: str
) -> None:
    await control.post("/_fault", json={**fault, "times": 1})

    async with opened() as claude:
        assert (await _failure(claude)).name == reason
        assert (await claude.ask(PROMPT, "key")).text


@pytest.mark.parametrize("kind", ["slow", "stall"])
async def test_an_answer_that_does_not_come_in_time_is_unavailable(
    opened: OpenClaude, control: httpx.AsyncClient, kind: str
) -> None:
    await control.post("/_fault", json={"kind": kind, "seconds": 30, "times": 1})

    async with opened(claude_timeout=0.5) as claude:
        began = time.monotonic()
        fault = await _failure(claude)

    assert fault.name == "MODEL_UNAVAILABLE"
    assert time.monotonic() - began < 20


async def test_the_client_never_tries_again_by_itself(
    opened: OpenClaude, control: httpx.AsyncClient
) -> None:
    await control.post("/_fault", json={"kind": "status", "status": 529})

    async with opened() as claude:
        await _failure(claude)

    assert len((await control.get("/_requests")).json()["requests"]) == 1


async def test_claude_says_when_to_come_back_but_not_for_how_long_we_wait(
    opened: OpenClaude, control: httpx.AsyncClient
) -> None:
    for seconds in (7, 86_400):
        fault = {"kind": "status", "status": 429, "retry_after": seconds, "times": 1}
        await control.post("/_fault", json=fault)
    await control.post("/_fault", json={"kind": "status", "status": 529, "times": 1})

    async with opened() as claude:
        waits = [(await _failure(claude)).retry_after for _ in range(3)]

    assert waits == [timedelta(seconds=7), timedelta(seconds=60), None]


async def test_a_spending_limit_is_no_rate_limit(
    opened: OpenClaude, control: httpx.AsyncClient
) -> None:
    fault = {"kind": "status", "status": 429, "code": "enforced_spend_limit_reached"}
    await control.post("/_fault", json=fault)

    async with opened() as claude:
        assert (await _failure(claude)).name == "MODEL_REFUSED"


async def test_a_wrong_key_is_refused_and_not_told_on(opened: OpenClaude) -> None:
    async with opened(anthropic_api_key="sk-ant-a-wrong-secret") as claude:
        fault = await _failure(claude)

    assert fault.name == "MODEL_REFUSED"
    assert "wrong-secret" not in str(fault.to_status())


async def test_a_claude_that_is_away_is_unavailable_and_its_return_is_noticed(
    opened: OpenClaude, stand_in: ClaudeServer
) -> None:
    async with opened() as claude:
        assert (await claude.ask(PROMPT, "key")).text
        await stand_in.kill()
        assert (await _failure(claude)).name == "MODEL_UNAVAILABLE"
        await stand_in.start()
        assert (await claude.ask(PROMPT, "key")).text


async def test_switched_off_claude_is_disabled_and_nobody_is_asked(
    opened: OpenClaude, control: httpx.AsyncClient
) -> None:
    async with opened(enable_claude=False) as claude:
        assert (await _failure(claude)).name == "MODEL_DISABLED"

    assert (await control.get("/_requests")).json()["requests"] == []


async def test_every_attempt_of_a_step_carries_the_same_idempotency_key(
    opened: OpenClaude, control: httpx.AsyncClient
) -> None:
    async with opened() as claude:
        await claude.ask(PROMPT, "acme/r1/write welcome ä\n")
        await claude.ask(PROMPT, "acme/r1/write welcome ä\n")

    asked = (await control.get("/_requests")).json()["requests"]
    keys = {request["headers"]["idempotency-key"] for request in asked}
    assert keys == {"acme/r1/write%20welcome%20%C3%A4%0A"}


async def test_an_answer_cut_at_the_limit_of_tokens_says_so(opened: OpenClaude) -> None:
    user = f"<name>{'Ada ' * 200}</name>"
    async with opened(claude_max_tokens=64) as claude:
        answer = await claude.ask(Prompt("", user), "key")

    assert not answer.complete


async def test_tokens_are_counted(opened: OpenClaude) -> None:
    def counted(direction: str) -> float:
        labels = {"model": "claude-opus-5-5", "direction": direction}
        return REGISTRY.get_sample_value("nexpo_claude_tokens_total", labels) or 0.0

    before = counted("input"), counted("output")
    async with opened(claude_model="claude-opus-5-5") as claude:
        answer = await claude.ask(PROMPT, "key")

    assert counted("input") - before[0] == answer.input_tokens
    assert counted("output") - before[1] == answer.output_tokens


@pytest.mark.parametrize("fault", [None, {"kind": "status", "status": 400}, {"kind": "nonsense"}])
async def test_no_prompt_and_no_key_is_logged_even_at_debug(
    opened: OpenClaude,
    control: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, object] | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    prompt = Prompt("system-canary", "<name>user-canary</name>")
    if fault:
        await control.post("/_fault", json=fault)

    async with opened(anthropic_api_key="nexpo-dev-claude") as claude:
        with contextlib.suppress(Fault):
            await claude.ask(prompt, "key")

    for secret in ("system-canary", "user-canary", "nexpo-dev-claude"):
        assert secret not in caplog.text


def test_retry_after_is_seconds_or_a_date_and_nonsense_is_none() -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def read(value: str) -> timedelta | None:
        return retry_after({"retry-after": value}, now)

    assert read("2.5") == timedelta(seconds=2.5)
    assert read("Sat, 21 Nov 2026 12:00:30 GMT") == timedelta(seconds=30)
    assert read("Sat, 21 Nov 2026 11:00:00 GMT") is None
    assert [read(value) for value in ("", "soon", "-1", "nan", "inf")] == [None] * 5
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == timedelta(seconds=1.5)


def test_claude_without_a_key_is_a_problem_at_start() -> None:
    with pytest.raises(SettingsError) as failed:
        AiSettings.load(enable_claude=True, anthropic_base_url="api.anthropic.com")

    named = [problem.partition(":")[0] for problem in failed.value.problems]
    assert named == ["ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"]


async def test_an_empty_environment_starts_with_claude_off() -> None:
    settings = AiSettings.load()

    assert settings.claude_state() == "off: ENABLE_CLAUDE is false"
    async with open_claude(settings) as claude:
        assert (await _failure(claude)).name == "MODEL_DISABLED"
