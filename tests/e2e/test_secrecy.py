"""What Temporal and the stores get to see of a person."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest
from google.protobuf.json_format import MessageToDict

from nexpo_runtime.temporal.codec import ENCODING

from .house import House, person, refusal

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


async def test_temporal_holds_nothing_of_a_person_in_clear(house: House) -> None:
    canary = f"canary{uuid.uuid4().hex[:10]}"
    email = f"{canary}@example.com"
    request = person(email, display_name=f"Name {canary}", password=f"secret-{canary}")
    request.profile.attributes.update({"note": canary})
    operation = await house.users.onboard_user(request)
    await house.waiting(operation)
    token = await house.token(email)
    result = await house.verify(operation, email)
    assert result.user.display_name == f"Name {canary}"
    handle = await house.workflow(operation.name)
    description = await handle.describe()
    attributes = description.raw_info.search_attributes.indexed_fields
    assert set(attributes) >= {"NexpoState", "NexpoTenant"}
    assert json.loads(attributes["NexpoState"].data) == "SUCCEEDED"
    assert json.loads(attributes["NexpoTenant"].data) == "dev"
    memo = description.raw_info.memo.fields["progress"]
    assert memo.metadata["encoding"] == ENCODING
    history = await handle.fetch_history()
    shown = json.dumps([history.to_json_dict(), MessageToDict(description.raw_description)])
    events = b"".join(event.SerializeToString() for event in history.events)
    for secret in (canary, token):
        assert secret not in shown
        assert secret.encode() not in events
    # Nor does the server's own database, nor any log.
    folder = house.stack.folder
    places = [*folder.glob("temporal/temporal.sqlite*"), *folder.rglob("*.log")]
    assert len(places) > 5
    for place in places:
        content = await asyncio.to_thread(place.read_bytes)
        assert canary.encode() not in content, place
        assert token.encode() not in content, place


async def test_a_failed_onboarding_shows_its_reason_and_nothing_of_the_person(
    house: House,
) -> None:
    canary = f"canary{uuid.uuid4().hex[:10]}"
    await house.active(f"{canary}@example.com")
    again = await house.users.onboard_user(person(f"{canary}@example.com", display_name=canary))
    assert (await refusal(again.result(30))).reason == "EMAIL_TAKEN"
    handle = await house.workflow(again.name)
    shown = json.dumps((await handle.fetch_history()).to_json_dict())
    assert "EMAIL_TAKEN" in shown
    assert canary not in shown
    assert canary not in str((await again.operation()).error)
