"""The demo, run whole: as it is promised, twice at once, interrupted, and failing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from nexpo_dev.servers.postgresql import NOBODY, PostgresServer
from nexpo_dev.servers.postgrest import install

from .player import Demo, Played, demo

pytestmark = [pytest.mark.timeout(300), pytest.mark.verify]

STORES = {"postgres", "mongodb", "cosmosdb", "sqlserver", "supabase"}
STEPS = {
    *("choose databases", "reserve e-mail", "provision home", "write welcome text"),
    *(f"create in {store}" for store in STORES),
    *(f"activate in {store}" for store in STORES),
    *("send verification e-mail", "send welcome e-mail"),
}


Two = tuple[tuple[Demo, Played], tuple[Demo, Played]]


@pytest.fixture(scope="module")
def another_user() -> int | None:
    """nobody, where we are root and nobody can run this Python; else None."""
    if os.getuid() != 0:
        return None
    program = [sys.executable, "-c", "import nexpo_dev.stack"]
    try:
        done = subprocess.run(program, cwd="/", user=NOBODY, group=NOBODY, extra_groups=[])
    except PermissionError:
        return None
    return NOBODY if done.returncode == 0 else None


@pytest.fixture(scope="module")
def two(another_user: int | None) -> Iterator[Two]:
    """Two demos that run at the same time; one as another user, where that can be."""
    install()  # which a user who may not write to the checkout could not
    with demo("a folder") as one, demo("another's folder", another_user) as two:
        yield (one, one.ended()), (two, two.ended())


@pytest.fixture(scope="module", params=[0, 1], ids=["one", "another"])
def played(request: pytest.FixtureRequest, two: Two) -> Played:
    """Each of the two."""
    found: Played = two[request.param][1]
    return found


def test_it_ends_well_and_says_so(played: Played) -> None:
    assert played.code == 0, played.output
    assert "Everything that was started is gone." in played.output
    assert played.report["temporal_ui"] in played.output
    assert played.report["seconds"] > 0
    titles = [act["title"] for act in played.report["acts"]]
    assert titles == ["Finishes", "Undoes", "Survives"]
    for act in played.report["acts"]:
        assert act["ending"] in played.output
        assert act["operation"].startswith("operations/dev~nexpo.users.v1.OnboardUser~")


def test_the_first_act_ends_active_in_every_store(played: Played) -> None:
    act = played.report["acts"][0]
    assert_active(act)
    assert {step["name"] for step in act["steps"]} == STEPS
    assert {step["attempt"] for step in act["steps"]} == {1}


def test_the_second_act_leaves_nothing_anywhere(played: Played) -> None:
    act = played.report["acts"][1]
    assert act["ending"] == "undone: STORE_REFUSED"
    assert act["ids"] == {}
    found = act["proofs"]["after the undo"]
    assert {one["store"] for one in found} == {*STORES, "object storage"}
    assert [one["ids"] for one in found] == [[]] * 6
    # Every fence is a tombstone, also where nothing had landed.
    assert all(one["tombstones"] == 1 for one in found if one["store"] in STORES)
    states = {step["name"]: step["state"] for step in act["steps"]}
    undone = {"reserve e-mail", "provision home", *(f"create in {store}" for store in STORES)}
    assert {name for name, state in states.items() if state == "UNDONE"} == undone
    refused = {step["name"] for step in act["steps"] if step["reason"] == "STORE_REFUSED"}
    assert refused == {"create in sqlserver"}


def test_the_third_act_survives_a_kill_with_one_record_per_store(played: Played) -> None:
    act = played.report["acts"][2]
    assert_active(act)
    before = {one["store"]: one["ids"] for one in act["proofs"]["before the kill"]}
    # What had been committed before the kill is what the second attempt found.
    assert before["postgres"] == [act["ids"]["postgres"]]
    attempts = {step["name"]: step["attempt"] for step in act["steps"]}
    assert attempts["create in postgres"] > 1
    assert any("SIGKILL to db-worker" in note for note in act["notes"])
    assert any("started again" in note for note in act["notes"])


def test_two_at_once_do_not_meet(two: Two) -> None:
    reports = [played.report for _, played in two]
    assert reports[0]["temporal_ui"] != reports[1]["temporal_ui"]
    operations = [{act["operation"] for act in report["acts"]} for report in reports]
    assert operations[0].isdisjoint(operations[1])


def test_another_user_than_root_can_play_it(another_user: int | None, two: Two) -> None:
    if another_user is None:
        pytest.skip("needs root, and a Python and a checkout that every user can read")
    assert two[1][0].folder.stat().st_uid == another_user
    assert two[1][1].code == 0


def test_nothing_is_left_afterwards(two: Two) -> None:
    for one, _ in two:
        assert one.leftovers() == []
        assert sorted(path.name for path in one.folder.iterdir()) == [
            *("build", "output.txt", "report.json")
        ]
        assert list((one.folder / "build").iterdir()) == []


def test_ctrl_c_in_the_first_act_leaves_nothing() -> None:
    with demo("a folder") as interrupted:
        interrupted.until("create in")
        running = interrupted.leftovers()
        assert len(running) > 10  # this is how they would be seen
        interrupted.interrupt()
        ended = interrupted.ended()
        assert ended.code == 130, ended.output
        assert "Interrupted" in ended.output
        assert "Traceback" not in ended.output
        assert ended.report == {}
        assert interrupted.leftovers() == []
        assert list((interrupted.folder / "build").iterdir()) == []


def test_a_broken_promise_is_told_with_exit_code_one() -> None:
    with demo("a folder") as broken:
        broken.until("Act 2")
        asyncio.run(_refuse(PostgresServer(broken.stack() / "postgres").url, "grace@example.com"))
        ended = broken.ended()
        assert ended.code == 1, ended.output
        assert "The demo failed. the first commit is not there" in ended.output
        assert "Traceback" not in ended.output
        assert "Everything that was started is gone" not in ended.output
        assert list((broken.folder / "build" / "demo-logs").glob("db-worker*.log"))
        assert broken.leftovers() == []


def assert_active(act: dict[str, Any]) -> None:
    """One active record in every store, a home, and every step done."""
    assert set(act["ids"]) == STORES
    assert all(act["ids"].values())
    assert {step["state"] for step in act["steps"]} == {"DONE"}
    for one in act["proofs"]["at the end"]:
        assert len(one["ids"]) == 1
        if one["store"] in STORES:
            assert one["state"] == "ACTIVE"
            assert one["ids"] == [act["ids"][one["store"]]]


async def _refuse(url: str, email: str) -> None:
    """Makes PostgreSQL itself refuse a person, who the demo says will be committed there."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            f"""
            CREATE FUNCTION refusal() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NEW.email = '{email}' THEN
                    RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER refusal BEFORE INSERT ON nexpo_users
                FOR EACH ROW EXECUTE FUNCTION refusal();
            """
        )
    finally:
        await connection.close()
