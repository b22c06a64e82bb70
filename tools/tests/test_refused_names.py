"""Names that nobody would miss until it is too late: queues, paths, permissions, keys."""

from __future__ import annotations

import pytest
from google.protobuf.compiler import plugin_pb2

from orders_contract import ORDERS, Plugin

QUEUE = 'option (nexpo.options.v1.task_queue) = "nexpo-warehouse";\n'
UNKNOWN = (
    "is declared nowhere (known: nexpo-orders, nexpo-warehouse); correct it, or declare the queue"
    " of a new worker with option (nexpo.options.v1.task_queue) in its file"
)
GET = 'option (google.api.http) = {get: "/v1/orders/{order_id}"};'
QUOTE = 'option (nexpo.options.v1.rule) = {query: {of: "PlaceOrder"'


def on(route: str) -> str:
    """QuoteOrder with another route."""
    return f"option (google.api.http) = {{{route}}};\n    {QUOTE}"


# What is wrong: the text of the proto, what it becomes, who is named, what to do.
REFUSALS = {
    "a workflow on a queue that nobody declares": (
        'id: "{request_id}" queue: "nexpo-orders" ',
        'id: "{request_id}" queue: "nexpo-order" ',
        "OrderService.WatchStock",
        f'queue "nexpo-order" {UNKNOWN}',
    ),
    "activities on a queue that nobody declares": (
        'option (nexpo.options.v1.queue) = "nexpo-warehouse"',
        'option (nexpo.options.v1.queue) = "nexpo-wharehouse"',
        "nexpo.orders.v1.WarehouseActivities",
        f'queue "nexpo-wharehouse" {UNKNOWN}',
    ),
    "a read from a worker that nobody declares": (
        '{read: {worker: "nexpo-orders"',
        '{read: {worker: "nexpo-oders"',
        "OrderService.GetOrder",
        f'worker "nexpo-oders" {UNKNOWN}',
    ),
    "a queue that is declared twice": (
        QUEUE,
        QUEUE + QUEUE,
        "task_queue",
        f'"nexpo-warehouse" is declared in {ORDERS}:14 too; remove one of them',
    ),
    "a queue without a name": (
        QUEUE,
        QUEUE + 'option (nexpo.options.v1.task_queue) = "";\n',
        "task_queue",
        "is empty; give it a name",
    ),
    "a queue that nothing is on": (
        QUEUE,
        QUEUE + 'option (nexpo.options.v1.task_queue) = "nexpo-shipping";\n',
        "task_queue",
        '"nexpo-shipping" is named by no service and no rule; use it or remove it',
    ),
    "one path twice": (
        QUOTE,
        on('get: "/v1/orders/{operation}"'),
        "OrderService.GetOrder",
        '"GET /v1/orders/{order_id}" fits the same requests as "/v1/orders/{operation}" of'
        " OrderService.QuoteOrder; change one of them",
    ),
    "a literal below a variable": (
        QUOTE,
        on('get: "/v1/orders/latest"'),
        "OrderService.GetOrder",
        'fits the same requests as "/v1/orders/latest" of OrderService.QuoteOrder',
    ),
    "variables that cross": (
        GET,
        'option (google.api.http) = {get: "/v1/{order_id}/lines"'
        ' additional_bindings {get: "/v1/orders/{order_id}"}};',
        "OrderService.GetOrder",
        '"GET /v1/orders/{order_id}" fits the same requests as "/v1/{order_id}/lines" of'
        " OrderService.GetOrder",
    ),
    "a variable that spans segments": (
        QUOTE,
        on('get: "/v1/{operation=**}"'),
        "OrderService.GetOrder",
        'fits the same requests as "/v1/{operation=**}" of OrderService.QuoteOrder',
    ),
    "a path where the gateway has its own": (
        GET,
        'option (google.api.http) = {get: "/health/{order_id}"};',
        "OrderService.GetOrder",
        'path "/health/{order_id}" does not begin with "/v1/", as nexpo.orders.v1; correct it',
    ),
    "a body that is no field": (
        'post: "/v1/customers/{customer_id}/orders" body: "*"',
        'post: "/v1/customers/{customer_id}/orders" body: "parcels"',
        "OrderService.PlaceOrder",
        'body "parcels" is no field of nexpo.orders.v1.PlaceOrderRequest; correct it, or "*"',
    ),
    "a body of a GET": (
        GET,
        'option (google.api.http) = {get: "/v1/orders/{order_id}" body: "*"};',
        "OrderService.GetOrder",
        "a GET has no body; remove body, or use POST",
    ),
    "a body of a DELETE": (
        GET,
        'option (google.api.http) = {delete: "/v1/orders/{order_id}" body: "*"};',
        "OrderService.GetOrder",
        "a DELETE has no body; remove body, or use POST",
    ),
    "a permission of another domain": (
        '"orders.place"',
        '"order.place"',
        "OrderService.PlaceOrder",
        'permission "order.place" does not begin with "orders.", its package\'s domain; correct it',
    ),
    "an activity that is repeated without end and has no key": (
        "message ReleaseGoodsRequest {\n  // Key of the effect.\n  string key = 1;",
        "message ReleaseGoodsRequest {\n  // Key of the effect.\n  string effect = 1;",
        "WarehouseActivities.ReleaseGoods",
        "activity is retried without end, so the same call again must find its own effect:"
        " add a field string key to nexpo.orders.v1.ReleaseGoodsRequest",
    ),
    "a key that holds no text": (
        "message ReserveGoodsRequest {\n  // Key of the effect.\n  string key = 1;",
        "message ReserveGoodsRequest {\n  // Key of the effect.\n  int64 key = 1;",
        "WarehouseActivities.ReserveGoods",
        "key of nexpo.orders.v1.ReserveGoodsRequest is no single string",
    ),
    "one search attribute twice": (
        "string customer_id = 1;\n  // Makes the call safe to repeat.\n",
        'string customer_id = 1 [(nexpo.options.v1.search_attribute) = "OrderPayment"];\n'
        "  // Makes the call safe to repeat.\n",
        "PlaceOrderRequest.payment",
        "search attribute OrderPayment is that of customer_id too; rename one",
    ),
    "a search attribute of an update": (
        "// How it is paid.\n  Payment payment = 6;",
        "// How it is paid.\n"
        '  Payment payment = 6 [(nexpo.options.v1.search_attribute) = "Payment"];',
        "ApproveOrderRequest.payment",
        "is no field of a start's own request, so it never becomes the search attribute Payment",
    ),
}


def lines_of(response: plugin_pb2.CodeGeneratorResponse) -> list[str]:
    """What is refused, a line each."""
    return response.error.splitlines()[1:]


@pytest.mark.parametrize("what", REFUSALS)
def test_the_plugin_refuses(what: str, plugin: Plugin) -> None:
    old, new, subject, advice = REFUSALS[what]

    response = plugin((old, new))

    assert any(
        line.startswith(f"{ORDERS}:") and f": {subject}: " in line and advice in line
        for line in lines_of(response)
    ), response.error
    assert not response.file


@pytest.mark.parametrize(
    "route",
    [
        'get: "/v1/orders"',
        'get: "/v1/orders/{operation}/price"',
        'get: "/v1/orders/{operation}:quote"',
        'post: "/v1/orders/{operation}" body: "*"',
        'get: "/v1/quotes/{operation=operations/*}"',
    ],
)
def test_paths_that_no_request_fits_twice_are_accepted(route: str, plugin: Plugin) -> None:
    assert plugin((QUOTE, on(route))).error == ""
