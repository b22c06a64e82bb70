"""Queries find what Cosmos DB's would, page by page, and unknown ones are refused."""

from __future__ import annotations

from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

ITEMS: list[dict[str, Any]] = [
    {"id": "a", "n": 1, "name": "Zoë", "tags": ["x", "y"], "deep": {"er": True}},
    {"id": "b", "n": 2, "name": "it's", "gone": None},
    {"id": "c", "n": 2.0, "name": 'say "hi"', "deep": {"er": False}},
    {"id": "d", "n": 10, "name": "null"},
    {"id": "e", "n": "2", "tags": []},
    {"id": "f", "select": 1},
]


@pytest.fixture
async def filled(container: ContainerProxy) -> ContainerProxy:
    for item in ITEMS:
        await container.create_item({**item, "tenant": "t", "email": item["id"]})
    await container.create_item({"id": "z", "tenant": "other", "email": "z", "n": 1})
    return container


async def find(
    container: ContainerProxy, query: str, tenant: str | None = "t", **values: Any
) -> list[Any]:
    parameters = [{"name": f"@{name}", "value": value} for name, value in values.items()]
    options: dict[str, Any] = {} if tenant is None else {"partition_key": tenant}
    found = container.query_items(query, parameters=parameters, **options)
    return [item async for item in found]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("c.n = 2", "bc"),
        ("c.n = @two", "bc"),
        ("c.n != 2", "ad"),
        ("c.n <> 2 AND c.n < 5", "a"),
        ("c.n >= 2 AND c.n <= 10", "bcd"),
        ("c.n BETWEEN 2 AND 9.5", "bc"),
        ("c.n = '2'", "e"),
        ("c.n > -1.5e0", "abcd"),
        ("NOT c.n = 2", "ad"),
        ("c.n = 1 OR c.n = 2 AND c.name = 'it\\'s'", "ab"),
        ("(c.n = 1 OR c.n = 2) AND c.deep.er", "a"),
        ("c.deep.er = false", "c"),
        ('c["name"] = "say \\"hi\\""', "c"),
        ('c["select"] = 1', "f"),
        ("c.name = @name", "a"),
        ("c.name IN ('null', @name)", "ad"),
        ("c.id NOT IN ('a', 'b', 'c')", "def"),
        ("c.gone = null", "b"),
        ("IS_NULL(c.gone)", "b"),
        ("IS_DEFINED(c.gone)", "b"),
        ("NOT IS_DEFINED(c.n)", "f"),
        ("IS_DEFINED(c.deep.er) = true", "ac"),
        ("STARTSWITH(c.name, 'nu')", "d"),
        ("CONTAINS(c.name, 'hi')", "c"),
        ("ARRAY_CONTAINS(c.tags, 'y')", "a"),
        ("c.name = @name AND c.n = 1 AND c.id = 'a'", "a"),
        ("c._etag = 'none'", ""),
        ("c.tags = []", None),
        ("c.nothing = c.nothing", ""),
        ("true", "abcdef"),
    ],
)
async def test_a_condition_finds_its_items(
    filled: ContainerProxy, condition: str, expected: str | None
) -> None:
    query = f"SELECT * FROM c WHERE {condition}"
    if expected is None:
        with pytest.raises(CosmosHttpResponseError) as caught:
            await find(filled, query)
        assert caught.value.status_code == 400
        return
    found = await find(filled, query, two=2, name="Zoë")
    assert "".join(item["id"] for item in found) == expected


async def test_an_item_is_found_by_what_the_service_added(filled: ContainerProxy) -> None:
    one = await filled.read_item("c", "t")
    found = await find(filled, "SELECT * FROM c WHERE c._etag = @etag", etag=one["_etag"])
    assert found == [one]


async def test_select_makes_what_it_names(filled: ContainerProxy) -> None:
    assert await find(filled, "SELECT VALUE r.n FROM users r WHERE r.n = 1") == [1]
    assert await find(filled, "SELECT VALUE c.deep.er FROM c") == [True, False]
    two = await find(filled, "select c.id, c.deep.er as flag, c.none from root c where c.n = 1")
    assert two == [{"id": "a", "flag": True}]
    assert await find(filled, "SELECT VALUE COUNT(1) FROM c WHERE c.n > 1") == [3]


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("ORDER BY c.n", "fabcde"),
        ("ORDER BY c.n DESC", "edbcaf"),
        ("ORDER BY c.n, c.id", "fabcde"),
        ("ORDER BY c.n DESC, c.id DESC", "edcbaf"),
        ("ORDER BY c.id OFFSET 2 LIMIT 3", "cde"),
        ("ORDER BY c.id OFFSET 0 LIMIT @limit", "ab"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
async def test_order_is_kept_over_pages_of_any_size(
    filled: ContainerProxy, rest: str, expected: str, size: int
) -> None:
    found = filled.query_items(
        f"SELECT * FROM c {rest}",
        parameters=[{"name": "@limit", "value": 2}],
        partition_key="t",
        max_item_count=size,
    )
    assert "".join([item["id"] async for item in found]) == expected


async def test_top_is_kept_over_pages(filled: ContainerProxy) -> None:
    found = filled.query_items(
        "SELECT TOP 3 * FROM c ORDER BY c.id", partition_key="t", max_item_count=2
    )
    pages = [[item["id"] async for item in page] async for page in found.by_page()]
    assert pages == [["a", "b"], ["c"]]


async def test_pages_neither_repeat_nor_hide_while_items_come_and_go(
    filled: ContainerProxy,
) -> None:
    query = "SELECT * FROM c WHERE IS_DEFINED(c.id) ORDER BY c.id"
    pages = filled.query_items(query, partition_key="t", max_item_count=2).by_page()
    seen = [item["id"] async for item in await anext(pages)]
    await filled.delete_item("a", "t")
    await filled.create_item({"id": "Z", "tenant": "t", "email": "Z"})
    async for page in pages:
        seen += [item["id"] async for item in page]
    assert seen == ["a", "b", "c", "d", "e", "f"]


async def test_a_token_of_another_query_is_refused(filled: ContainerProxy) -> None:
    pages = filled.query_items("SELECT * FROM c", partition_key="t", max_item_count=2).by_page()
    await anext(pages)
    token = pages.continuation_token  # type: ignore[attr-defined]  # of AsyncPageIterator
    for wrong in (token, "nonsense"):
        other = filled.query_items("SELECT c.id FROM c", partition_key="t", max_item_count=2)
        with pytest.raises(CosmosHttpResponseError) as caught:
            await anext(other.by_page(wrong))
        assert caught.value.status_code == 400


async def test_a_query_over_all_partitions_finds_all(filled: ContainerProxy) -> None:
    found = await find(filled, "SELECT c.id FROM c WHERE c.n = 1", tenant=None)
    assert sorted(item["id"] for item in found) == ["a", "z"]


@pytest.mark.parametrize("rest", ["ORDER BY c.n, c.name", "ORDER BY c.secret.x"])
async def test_an_order_without_an_index_is_refused(filled: ContainerProxy, rest: str) -> None:
    with pytest.raises(CosmosHttpResponseError) as caught:
        await find(filled, f"SELECT * FROM c {rest}")
    assert caught.value.status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM c",
        "SELECT",
        "SELECT *",
        "SELECT * FROM c JOIN x IN c.tags",
        "SELECT DISTINCT c.n FROM c",
        "SELECT * FROM c GROUP BY c.n",
        "SELECT * FROM c WHERE",
        "SELECT * FROM c WHERE c.n = ",
        "SELECT * FROM c WHERE c.n = @missing",
        "SELECT * FROM c WHERE c.n == 1",
        "SELECT * FROM c WHERE (c.n = 1",
        "SELECT * FROM c WHERE x.n = 1",
        "SELECT * FROM c WHERE LOWER(c.name) = 'x'",
        "SELECT * FROM c WHERE IS_DEFINED(c.n, 1)",
        "SELECT * FROM c WHERE c.n = 1; SELECT * FROM c",
        "SELECT TOP -1 * FROM c",
        "SELECT TOP 'x' * FROM c",
        "SELECT * FROM c ORDER BY c.n + 1",
        "SELECT * FROM c OFFSET 1",
        "SELECT * FROM c WHERE c.name = 'open",
        "SELECT * FROM c WHERE " + "(" * 5000 + "1" + ")" * 5000,
    ],
)
async def test_a_query_that_is_not_known_is_refused(
    filled: ContainerProxy, stand_in: object, query: str
) -> None:
    with pytest.raises(CosmosHttpResponseError) as caught:
        await find(filled, query)
    assert caught.value.status_code == 400


@pytest.mark.parametrize(
    "query",
    ["SELECT * FROM c ORDER BY c.n", "SELECT TOP 1 * FROM c", "SELECT VALUE COUNT(1) FROM c"],
)
async def test_a_query_that_needs_a_plan_is_refused(
    filled: ContainerProxy, stand_in: object, query: str
) -> None:
    with pytest.raises(CosmosHttpResponseError) as caught:
        await find(filled, query, tenant=None)
    assert caught.value.status_code == 400
