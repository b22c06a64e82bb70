"""The kill matrix: every fault at every place, many onboardings under one kill."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from nexpo.client import NexpoError
from nexpo.operations.v1.operations_pb2 import Step
from nexpo.users.v1.users_pb2 import UpdateUserRequest
from nexpo_dev.fault_rules import Action

from .field import Field
from .onboarding import PATIENCE
from .places import ACTIVATIONS, CREATES, FENCED, FORWARD, HOME, MAIL, RESERVE, TEXT, UNDOS, Place
from .refusals import refusal_of
from .trial import Trial
from .wave import Wave


async def _refused(wave: Wave, field: Field) -> None:
    """The store says no: forward it ends and is undone, past the pivot it goes on."""
    await wave.approach(field)
    for trial in wave.trials:
        trial.whole = trial.place is TEXT or trial.place.phase == "activation"
        if trial.place.server in ("object_storage", "claude", "mailbox"):
            trial.lay("answer", refusal_of(trial.place.server))
        else:
            trial.lay(None)
            await field.refusals.add(trial.place, trial.person)
    await wave.each(Trial.move)
    forward = [trial for trial in wave.trials if trial.place.phase == "forward"]
    others = [trial for trial in wave.trials if trial.place.phase != "forward"]
    wave.healed()
    await asyncio.gather(wave.each(Trial.finish, forward), wave.each(_tried_twice, others))
    await field.refusals.clear()
    for trial in others:
        if trial.ruled:
            trial.rule.armed = False
        trial.healed = time.monotonic()
    await wave.each(Trial.finish, others)


async def _tried_twice(trial: Trial) -> None:
    assert trial.seen is not None
    async with asyncio.timeout(PATIENCE):
        await trial.seen.struck(times=2)


async def _timed_out(wave: Wave, field: Field) -> None:
    """It commits, and the reply never comes: the attempt times out, the next one finds it."""
    await wave.pause(field, "hold reply")
    for trial in wave.trials:
        trial.rule.armed = False
    await wave.check_effects(field, there=True)
    wave.healed()
    await wave.each(Trial.finish)
    for trial in wave.trials:
        trial.expect(trial.rule.holding > 0, "the reply came, so nothing timed out")


async def _late(wave: Wave, field: Field) -> None:
    """The request is overtaken by its own undo, or by its own retry, and comes afterwards."""
    await wave.pause(field, "hold request")
    await wave.check_effects(field, there=False)
    for trial in wave.trials:
        trial.rule.armed = False

    async def overtaken(trial: Trial) -> None:
        if trial.place.phase == "forward":
            trial.whole = False
            await trial.onboarding.cancel()
        await trial.finish()
        if trial.place.phase == "activation":
            await _rename(field, trial)

    wave.healed()
    await wave.each(overtaken)
    await wave.each(_land)
    found = await field.evidence()
    for trial in wave.trials:
        if trial.place.phase == "activation":
            names = [row.name for row in found.of(trial.place.server, trial.person)]
            trial.expect(names == ["Renamed"], f"the late activation has written over: {names}")


async def _rename(field: Field, trial: Trial) -> None:
    request = UpdateUserRequest(user_id=trial.user_id, display_name="Renamed")
    request.update_mask.paths.append("display_name")
    operation = await field.client.update_user(request)
    await operation.result(PATIENCE)


async def _land(trial: Trial) -> None:
    trial.rule.release()
    async with asyncio.timeout(PATIENCE):
        await trial.rule.answered_late()


async def _worker_killed_before(wave: Wave, field: Field) -> None:
    """SIGKILL while the request is on its way; it arrives when all is over."""
    await _killed(wave, field, "hold request", WORKERS)
    await wave.each(Trial.finish)
    await wave.each(_land)


async def _worker_killed_after(wave: Wave, field: Field) -> None:
    """SIGKILL when the effect has happened and nobody knows."""
    await _killed(wave, field, "hold reply", WORKERS)
    await wave.each(Trial.finish)


async def _gateway_killed_before(wave: Wave, field: Field) -> None:
    """SIGKILL of the workflow worker while a request is on its way."""
    await _killed(wave, field, "hold request", ("gateway",))
    for trial in wave.trials:
        trial.rule.release()
    await wave.each(Trial.finish)


async def _gateway_killed_after(wave: Wave, field: Field) -> None:
    """SIGKILL of the workflow worker when an effect has happened and is not reported."""
    await _killed(wave, field, "hold reply", ("gateway",))
    for trial in wave.trials:
        trial.rule.release()
    await wave.each(Trial.finish)


async def _killed(wave: Wave, field: Field, action: Action, services: Sequence[str]) -> None:
    await wave.pause(field, action)
    await wave.check_effects(field, there=action == "hold reply")
    for trial in wave.trials:
        trial.expect(trial.rule.holding > 0, "the kill struck nothing")
    await field.kill(*services)
    for trial in wave.trials:
        trial.rule.armed = False
    await field.start(*services)
    wave.healed()


async def _worker_killed_after_report(wave: Wave, field: Field) -> None:
    """SIGKILL when the effect has happened and is reported: it is not made again."""
    await wave.approach(field)
    for trial in wave.trials:
        trial.lay(None if trial.place is TEXT else "hold request")
    await wave.each(Trial.move)
    await wave.each(_reported)
    counts = {trial: trial.seen.count for trial in wave.trials if trial.seen is not None}
    await field.kill(*WORKERS)
    for trial in wave.trials:
        if trial.ruled:
            trial.rule.armed = False
            trial.rule.drop()
    await field.start(*WORKERS)
    wave.healed()
    await wave.each(Trial.finish)
    for trial, count in counts.items():
        assert trial.seen is not None
        trial.expect(count == trial.seen.count, "the effect was made again after its report")


async def _reported(trial: Trial) -> None:
    done = Step.UNDONE if trial.place.phase == "undo" else Step.DONE
    if trial.ruled:
        async with asyncio.timeout(PATIENCE):
            await trial.rule.struck()
    await trial.onboarding.until(
        lambda progress: any(
            step.name == trial.place.step and step.state == done for step in progress.steps
        )
    )


async def _cancelled(wave: Wave, field: Field) -> None:
    """Cancelled while the effect has happened and is not reported."""
    await wave.pause(field, "hold reply")
    await wave.check_effects(field, there=True)

    async def cancel(trial: Trial) -> None:
        trial.whole = trial.place.phase == "activation"
        try:
            await trial.onboarding.cancel()
        except NexpoError as error:
            refused = trial.whole and error.reason == "OPERATION_PAST_PIVOT"
            trial.expect(refused, f"the cancel was refused: {error}")
        else:
            # One that has ended meanwhile, by an attempt that found its work done, stays as it is.
            over = trial.whole and (await trial.onboarding.operation.operation()).done
            trial.expect(over or not trial.whole, "a cancel after the pivot was taken")
        trial.rule.armed = False
        if trial.place.phase != "forward":
            trial.rule.release()

    wave.healed()
    await wave.each(cancel)
    await wave.each(Trial.finish)


WORKERS = ("db-worker", "cloud-worker", "ai-worker")

_STOP_BEHIND: dict[Place, Place] = {
    **dict.fromkeys((RESERVE, *CREATES, HOME), TEXT),
    **dict(zip(ACTIVATIONS, (*ACTIVATIONS[1:], ACTIVATIONS[0]), strict=True)),
    **dict.fromkeys(UNDOS[1:], UNDOS[0]),
}
"""Where an operation is stopped so that a place lies behind it, reported."""

_ALL = (*UNDOS, *ACTIVATIONS, *FORWARD)
_OF_WORKERS = tuple(place for place in _ALL if place is not MAIL)
_REPORTED = (RESERVE, *CREATES, HOME, TEXT, *ACTIVATIONS, *UNDOS[1:])

WAVES = (
    Wave("refused", _ALL, _refused),
    Wave("timed out after commit", _ALL, _timed_out),
    Wave("late, after undo or retry", (*UNDOS, *ACTIVATIONS, *FENCED), _late),
    Wave("worker killed before the effect", _OF_WORKERS, _worker_killed_before),
    Wave("worker killed after the effect", _OF_WORKERS, _worker_killed_after),
    Wave("worker killed after the report", _REPORTED, _worker_killed_after_report, _STOP_BEHIND),
    Wave("cancelled after the effect", _ALL, _cancelled),
    Wave("gateway killed before the effect", _ALL, _gateway_killed_before),
    Wave("gateway killed after the effect", _ALL, _gateway_killed_after),
)
