"""The stand-in for Claude, as the real SDK sees it."""

from __future__ import annotations

import json

import anthropic
import httpx
import httpx2
import pytest

from nexpo_dev.servers.stand_ins import ClaudeServer

PROMPT = "<name>Ada</name>\n<language>en</language>\n<plan></plan>"
MODEL = "claude-haiku-5-5"


async def _ask(
    sdk: anthropic.AsyncAnthropic, content: str = PROMPT, max_tokens: int = 500, model: str = MODEL
) -> anthropic.types.Message:
    return await sdk.messages.create(
        model=model, max_tokens=max_tokens, messages=[{"role": "user", "content": content}]
    )


async def _stream(sdk: anthropic.AsyncAnthropic) -> anthropic.types.Message:
    async with sdk.messages.stream(
        model=MODEL, max_tokens=500, messages=[{"role": "user", "content": PROMPT}]
    ) as stream:
        return await stream.get_final_message()


def _text(message: anthropic.types.Message) -> str:
    [block] = message.content
    assert block.type == "text"
    return block.text


async def test_the_same_prompt_gives_the_same_text_whole_and_streamed(
    sdk: anthropic.AsyncAnthropic,
) -> None:
    whole, again, streamed = await _ask(sdk), await _ask(sdk), await _stream(sdk)

    assert _text(whole) == _text(again) == _text(streamed)
    assert "Ada" in _text(whole)
    assert whole.stop_reason == streamed.stop_reason == "end_turn"
    assert whole.usage.output_tokens == streamed.usage.output_tokens > 0
    assert whole.usage.input_tokens == streamed.usage.input_tokens > 0


@pytest.mark.parametrize(
    ("tag", "words"),
    [("de-CH", "Konto"), ("fr", "compte"), ("es", "cuenta"), ("it", "Ada"), ("xx", "account")],
)
async def test_it_writes_in_the_language_asked_for(
    sdk: anthropic.AsyncAnthropic, tag: str, words: str
) -> None:
    texts = [
        _text(await _ask(sdk, f"<name>Ada {n}</name><language>{tag}</language>")) for n in range(8)
    ]

    assert any(words in text for text in texts)


async def test_nothing_in_its_answers_claims_to_be_claude(sdk: anthropic.AsyncAnthropic) -> None:
    message = await _ask(sdk, "Who are you?")
    models = await sdk.models.list()

    assert message.id.startswith("msg_standin_")
    assert "Claude" not in _text(message)
    assert models.data
    assert all("stand-in" in model.display_name for model in models.data)


async def test_an_answer_longer_than_max_tokens_is_cut(sdk: anthropic.AsyncAnthropic) -> None:
    message = await _ask(sdk, max_tokens=10)

    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 10


async def test_the_events_of_a_stream_come_in_the_documented_order(
    control: httpx.AsyncClient, stand_in: ClaudeServer
) -> None:
    body = {"model": MODEL, "max_tokens": 500, "stream": True}
    body["messages"] = [{"role": "user", "content": PROMPT}]
    headers = {"x-api-key": stand_in.api_key, "anthropic-version": "2023-06-01"}

    answer = await control.post("/v1/messages", json=body, headers=headers)

    events = [line.removeprefix("event: ") for line in answer.text.splitlines() if "event:" in line]
    deltas = [event for event in events if event == "content_block_delta"]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["request-id"].startswith("req_")
    assert len(deltas) > 2
    assert events == [
        "message_start",
        "content_block_start",
        "ping",
        *deltas,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


async def test_a_wrong_key_is_not_accepted(stand_in: ClaudeServer) -> None:
    async with anthropic.AsyncAnthropic(
        api_key="wrong", base_url=stand_in.url, max_retries=0
    ) as stranger:
        with pytest.raises(anthropic.AuthenticationError) as failed:
            await _ask(stranger)

    assert failed.value.type == "authentication_error"
    assert failed.value.request_id


async def test_the_key_may_come_as_a_bearer_token(stand_in: ClaudeServer) -> None:
    async with anthropic.AsyncAnthropic(
        auth_token=stand_in.api_key, base_url=stand_in.url, max_retries=0
    ) as client:
        assert _text(await _ask(client))


async def test_an_unknown_model_is_not_found(sdk: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as failed:
        await _ask(sdk, model="claude-unheard-of")

    assert failed.value.api_message == "model: claude-unheard-of"


@pytest.mark.parametrize(
    ("headers", "body", "message"),
    [
        ({"anthropic-version": ""}, b"{}", "anthropic-version: header is required"),
        ({"anthropic-version": "1999-01-01"}, b"{}", 'anthropic-version: "1999-01-01"'),
        ({}, b"{", "The request body is not valid JSON"),
        ({}, b"[]", "Input should be a valid dictionary"),
        ({}, b"{}", "model: Field required"),
        ({}, {"nonsense": 1}, "nonsense: Extra inputs are not permitted"),
        ({}, {"max_tokens": 0}, "max_tokens: Input should be greater"),
        ({}, {"messages": []}, "messages: at least one message is required"),
        ({}, {"messages": [{"role": "system", "content": ""}]}, "messages.0.role"),
        ({}, {"messages": [{"role": "user", "content": " "}]}, "messages.0: user messages must"),
        ({}, {"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.con"),
        ({}, {"stream": "yes"}, "stream: Input should be a valid boolean"),
    ],
)
async def test_a_malformed_request_is_told_what_is_wrong(
    control: httpx.AsyncClient,
    stand_in: ClaudeServer,
    headers: dict[str, str],
    body: bytes | dict[str, object],
    message: str,
) -> None:
    good = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    content = body if isinstance(body, bytes) else json.dumps({**good, **body}).encode()
    own = {"x-api-key": stand_in.api_key, "anthropic-version": "2023-06-01", **headers}

    answer = await control.post("/v1/messages", content=content, headers=own)

    error = answer.json()
    assert answer.status_code == 400
    assert (error["type"], error["error"]["type"]) == ("error", "invalid_request_error")
    assert error["error"]["message"].startswith(message)
    assert error["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (402, anthropic.APIStatusError),
        (403, anthropic.PermissionDeniedError),
        (413, anthropic.APIStatusError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
async def test_a_status_fault_strikes_as_often_as_it_was_told(
    sdk: anthropic.AsyncAnthropic,
    control: httpx.AsyncClient,
    status: int,
    kind: type[anthropic.APIStatusError],
) -> None:
    fault = {"kind": "status", "status": status, "times": 2, "retry_after": 7}
    await control.post("/_fault", json=fault)

    for _ in range(2):
        with pytest.raises(kind) as failed:
            await _ask(sdk)
        assert failed.value.status_code == status
        assert failed.value.response.headers["retry-after"] == "7"
    assert _text(await _ask(sdk))


async def test_a_fault_without_times_lasts_until_it_is_cleared(
    sdk: anthropic.AsyncAnthropic, control: httpx.AsyncClient
) -> None:
    await control.post("/_fault", json={"kind": "reset"})
    for _ in range(3):
        with pytest.raises(anthropic.APIConnectionError):
            await _ask(sdk)

    await control.delete("/_fault")

    assert (await control.get("/_fault")).json() == {"faults": []}
    assert _text(await _ask(sdk))


async def test_a_truncated_stream_ends_without_a_stop_reason(
    sdk: anthropic.AsyncAnthropic, control: httpx.AsyncClient
) -> None:
    await control.post("/_fault", json={"kind": "truncate", "times": 1})

    message = await _stream(sdk)

    assert message.stop_reason is None


async def test_a_cut_stream_is_a_transport_error(
    sdk: anthropic.AsyncAnthropic, control: httpx.AsyncClient
) -> None:
    await control.post("/_fault", json={"kind": "cut", "times": 1})

    with pytest.raises(httpx2.TransportError):
        await _stream(sdk)


async def test_a_stream_can_end_with_an_error_event(
    sdk: anthropic.AsyncAnthropic, control: httpx.AsyncClient
) -> None:
    await control.post("/_fault", json={"kind": "error_event", "times": 1})

    with pytest.raises(anthropic.APIStatusError) as failed:
        await _stream(sdk)
    assert failed.value.type == "overloaded_error"


async def test_nonsense_is_no_json(
    sdk: anthropic.AsyncAnthropic, control: httpx.AsyncClient
) -> None:
    await control.post("/_fault", json={"kind": "nonsense", "times": 2})

    with pytest.raises(ValueError, match="Expecting"):
        await _stream(sdk)


@pytest.mark.parametrize(("kind", "stop"), [("empty", "end_turn"), ("refusal", "refusal")])
async def test_an_answer_can_be_without_content(
    sdk: anthropic.AsyncAnthropic, control: httpx.AsyncClient, kind: str, stop: str
) -> None:
    await control.post("/_fault", json={"kind": kind, "times": 2})

    for message in (await _ask(sdk), await _stream(sdk)):
        assert (message.content, message.stop_reason) == ([], stop)


@pytest.mark.parametrize("kind", ["slow", "stall"])
async def test_slow_answers_come_in_the_end(
    sdk: anthropic.AsyncAnthropic, control: httpx.AsyncClient, kind: str
) -> None:
    await control.post("/_fault", json={"kind": kind, "seconds": 0.3, "times": 1})

    assert (await _stream(sdk)).stop_reason == "end_turn"


@pytest.mark.parametrize(
    "fault", [[], {}, {"kind": "?"}, {"kind": "slow", "x": 1}, {"kind": "slow", "times": 0}]
)
async def test_an_unknown_fault_is_refused(control: httpx.AsyncClient, fault: object) -> None:
    assert (await control.post("/_fault", json=fault)).status_code == 400
    assert (await control.get("/_fault")).json() == {"faults": []}


async def test_it_tells_what_it_was_asked_but_not_with_which_key(
    sdk: anthropic.AsyncAnthropic, control: httpx.AsyncClient, stand_in: ClaudeServer
) -> None:
    await _ask(sdk)

    answer = await control.get("/_requests")

    [asked] = answer.json()["requests"]
    assert asked["path"] == "/v1/messages"
    assert asked["body"]["messages"][0]["content"] == PROMPT
    assert asked["headers"]["anthropic-version"]
    assert stand_in.api_key not in answer.text


async def test_killed_and_started_again_it_answers_as_before(
    sdk: anthropic.AsyncAnthropic, stand_in: ClaudeServer
) -> None:
    before = _text(await _ask(sdk))
    await stand_in.kill()
    await stand_in.start()

    assert _text(await _ask(sdk)) == before


async def test_tokens_can_be_counted_before_they_are_spent(sdk: anthropic.AsyncAnthropic) -> None:
    counted = await sdk.messages.count_tokens(
        model=MODEL, messages=[{"role": "user", "content": PROMPT}]
    )

    assert counted.input_tokens == (await _ask(sdk)).usage.input_tokens
