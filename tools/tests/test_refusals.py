"""What the plugin refuses, each with the place, the RPC and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexpo_tools.generate import GenerationError, generate
from orders_contract import ORDERS, Plugin

ERRORS = "nexpo/errors/v1/errors.proto"

# What is wrong: the text of the proto, what it becomes, who is named, what to do.
REDACTED = "(nexpo.options.v1.sensitive) = SENSITIVE_REDACT"
TAKEN_BY = '(nexpo.options.v1.protected_as) = "taker"'
HASHED = f"(nexpo.options.v1.sensitive) = SENSITIVE_HASH, {TAKEN_BY}"
NO_TAKER = (
    'protected_as names "taker", which must be a single string of the message,'
    " SENSITIVE_REDACT and without rules"
)
REMOVE_PROTECTED_AS = "protected_as says what becomes of a SENSITIVE_HASH or _DIGEST; remove it"

REFUSALS = {
    "an unknown field in an id template": (
        'id: "{customer_id}"',
        'id: "{client_id}"',
        "OrderService.PlaceOrder",
        'id template names "client_id", which is no single text or number field of'
        " nexpo.orders.v1.PlaceOrderRequest; correct the template or add the field",
    ),
    "an unknown field of a message in an id template": (
        'id: "{customer_id}"',
        'id: "{parcel.weight}"',
        "OrderService.PlaceOrder",
        'id template names "parcel.weight"',
    ),
    "a map in an id template": (
        'id: "{customer_id}"',
        'id: "{articles}"',
        "OrderService.PlaceOrder",
        'id template names "articles"',
    ),
    "a field of a message that there may be many of in an id template": (
        'id: "{customer_id}"',
        'id: "{parcels.size}"',
        "OrderService.PlaceOrder",
        'id template names "parcels.size", which is no single text or number field',
    ),
    "a message in an id template": (
        'id: "{customer_id}"',
        'id: "{parcel}"',
        "OrderService.PlaceOrder",
        'id template names "parcel"',
    ),
    "a sensitive field in an id template": (
        'id: "{customer_id}"',
        'id: "{address}"',
        "OrderService.PlaceOrder",
        'id template names "address", which is sensitive',
    ),
    "a field of a sensitive message in an id template": (
        'id: "{customer_id}"',
        'id: "{secret.size}"',
        "OrderService.PlaceOrder",
        'id template names "secret.size", which is sensitive',
    ),
    "an id template without a field": (
        'id: "{customer_id}"',
        'id: "order"',
        "OrderService.PlaceOrder",
        "start has no id template over a field; set id",
    ),
    "a request_id that is not the whole id template": (
        'id: "{customer_id}"',
        'id: "{customer_id}/{request_id}"',
        "OrderService.PlaceOrder",
        'id template "{customer_id}/{request_id}" names request_id beside other text: a'
        ' request_id names one call by itself; write "{request_id}", or leave it out',
    ),
    "an id template with a lonely brace": (
        'id: "{customer_id}"',
        'id: "{customer_id}/{payment_id"',
        "OrderService.PlaceOrder",
        "has a brace without its partner; correct it",
    ),
    "an update without an operation": (
        "// Name of the operation.\n  string operation = 1;\n"
        "  // Makes the call safe to repeat.\n  string request_id = 2;\n  // Who approves",
        "// Makes the call safe to repeat.\n  string request_id = 2;\n  // Who approves",
        "OrderService.ApproveOrder",
        "update needs a string field operation in nexpo.orders.v1.ApproveOrderRequest; add it",
    ),
    "a signal without an operation": (
        "message ReportShipmentRequest {\n  // Name of the operation.\n  string operation = 1;",
        "message ReportShipmentRequest {\n  // Name of the operation.\n  string name = 1;",
        "OrderService.ReportShipment",
        "signal needs a string field operation",
    ),
    "a query without an operation": (
        "message QuoteOrderRequest {\n  // Name of the operation.\n  string operation = 1;",
        "message QuoteOrderRequest {\n  // Name of the operation.\n  int64 operation = 1;",
        "OrderService.QuoteOrder",
        "query needs a string field operation",
    ),
    "an update without a request_id": (
        "string request_id = 2;\n  // Who approves",
        "string call_id = 2;\n  // Who approves",
        "OrderService.ApproveOrder",
        "update needs a string field request_id in nexpo.orders.v1.ApproveOrderRequest; add it",
    ),
    "a signal without a request_id": (
        "  string request_id = 2;\n}\n\n// What to quote.",
        "  string call_id = 2;\n}\n\n// What to quote.",
        "OrderService.ReportShipment",
        "signal needs a string field request_id in nexpo.orders.v1.ReportShipmentRequest; add it",
    ),
    "a start without a request_id": (
        "message WatchStockRequest {\n  // Makes the call safe to repeat.\n"
        "  string request_id = 1;",
        "message WatchStockRequest {\n  // Makes the call safe to repeat.\n"
        "  repeated string request_id = 1;",
        "OrderService.WatchStock",
        "start needs a string field request_id in nexpo.orders.v1.WatchStockRequest; add it",
    ),
    "a start without a deadline": (
        "endless: true ",
        "",
        "OrderService.WatchStock",
        "start needs a deadline or endless: true, one of them; set it",
    ),
    "a start with a deadline that is endless": (
        "endless: true ",
        "endless: true deadline: {seconds: 5} ",
        "OrderService.WatchStock",
        "start needs a deadline or endless: true, one of them; set it",
    ),
    "a start without a call_timeout": (
        "endless: true call_timeout: {seconds: 5}",
        "endless: true",
        "OrderService.WatchStock",
        "start has no call_timeout; say how long the RPC may take",
    ),
    "a start without a queue": (
        'id: "{request_id}" queue: "nexpo-orders" ',
        'id: "{request_id}" ',
        "OrderService.WatchStock",
        "start has no queue",
    ),
    "a start without operation_info": (
        "option (google.longrunning.operation_info) = {\n"
        '      response_type: "PlaceOrderResponse"\n'
        '      metadata_type: "nexpo.operations.v1.Progress"\n    };\n',
        "",
        "OrderService.PlaceOrder",
        "start has no response type; add option (google.longrunning.operation_info)",
    ),
    "a response_type that nobody knows": (
        'response_type: "PlaceOrderResponse"',
        'response_type: "Ordered"',
        "OrderService.PlaceOrder",
        'response_type "Ordered" is no known message; correct or import it',
    ),
    "metadata that is not the progress": (
        'response_type: "PlaceOrderResponse"\n      metadata_type: "nexpo.operations.v1.Progress"',
        'response_type: "PlaceOrderResponse"\n      metadata_type: "Parcel"',
        "OrderService.PlaceOrder",
        'metadata_type is "nexpo.orders.v1.Parcel"; set it to "nexpo.operations.v1.Progress"',
    ),
    "a start that returns no operation": (
        "rpc WatchStock(WatchStockRequest) returns (google.longrunning.Operation)",
        "rpc WatchStock(WatchStockRequest) returns (WatchStockResponse)",
        "OrderService.WatchStock",
        "start returns nexpo.orders.v1.WatchStockResponse; return google.longrunning.Operation",
    ),
    "a public RPC without a permission": (
        'option (nexpo.options.v1.permission) = "orders.place";',
        "",
        "OrderService.PlaceOrder",
        'has no permission; add option (nexpo.options.v1.permission), "PUBLIC" for everybody',
    ),
    "a permission of another form": (
        '"orders.place"',
        '"Public"',
        "OrderService.PlaceOrder",
        'permission "Public" is neither "PUBLIC" nor of the form "users.create"; correct it',
    ),
    "a request larger than Temporal carries": (
        'option (nexpo.options.v1.permission) = "orders.place";',
        'option (nexpo.options.v1.permission) = "orders.place";'
        " option (nexpo.options.v1.max_request_bytes) = 262145;",
        "OrderService.PlaceOrder",
        "max_request_bytes is 262145; it may be 1 to 262144",
    ),
    "a request of less than nothing": (
        'option (nexpo.options.v1.permission) = "orders.place";',
        'option (nexpo.options.v1.permission) = "orders.place";'
        " option (nexpo.options.v1.max_request_bytes) = -1;",
        "OrderService.PlaceOrder",
        "max_request_bytes is -1; it may be 1 to 262144",
    ),
    "an activity with a size of its request": (
        "start_to_close: {seconds: 20} heartbeat: {seconds: 4}}};",
        "start_to_close: {seconds: 20} heartbeat: {seconds: 4}}};"
        " option (nexpo.options.v1.max_request_bytes) = 1000;",
        "WarehouseActivities.ReserveGoods",
        "an activity is called by workflows only; remove its max_request_bytes",
    ),
    "lines of what is no text": (
        "int64 cents = 1;",
        "int64 cents = 1 [(nexpo.options.v1.multiline) = true];",
        "QuoteOrderResponse.cents",
        "is no text, so it has no lines; remove multiline",
    ),
    "an activity with a permission": (
        "option (nexpo.options.v1.rule) = {activity: {start_to_close: {seconds: 5}",
        'option (nexpo.options.v1.permission) = "goods.release";\n'
        "    option (nexpo.options.v1.rule) = {activity: {start_to_close: {seconds: 5}",
        "WarehouseActivities.ReleaseGoods",
        "an activity is called by workflows only; remove its permission",
    ),
    "an activity with a route": (
        "option (nexpo.options.v1.rule) = {activity: {start_to_close: {seconds: 5}",
        'option (google.api.http) = {post: "/v1/goods"};\n'
        "    option (nexpo.options.v1.rule) = {activity: {start_to_close: {seconds: 5}",
        "WarehouseActivities.ReleaseGoods",
        "an activity is called by workflows only; remove its google.api.http",
    ),
    "an activity without start_to_close": (
        "{activity: {start_to_close: {seconds: 5} retry: RETRY_FOREVER}}",
        "{activity: {retry: RETRY_FOREVER}}",
        "WarehouseActivities.ReleaseGoods",
        "activity has no start_to_close; say how long one attempt may take",
    ),
    "a heartbeat that is too slow": (
        "heartbeat: {seconds: 4}",
        "heartbeat: {seconds: 20}",
        "WarehouseActivities.ReserveGoods",
        "heartbeat is not shorter than start_to_close; shorten it or leave it out",
    ),
    "an RPC without a rule": (
        'option (nexpo.options.v1.rule) = {read: {worker: "nexpo-orders"'
        " call_timeout: {seconds: 5}}};",
        "",
        "OrderService.GetOrder",
        "has no rule; add option (nexpo.options.v1.rule)",
    ),
    "a rule that says nothing": (
        '{read: {worker: "nexpo-orders" call_timeout: {seconds: 5}}}',
        "{}",
        "OrderService.GetOrder",
        "has no rule; add option (nexpo.options.v1.rule)",
    ),
    "a read without a worker": (
        '{read: {worker: "nexpo-orders" call_timeout: {seconds: 5}}}',
        "{read: {call_timeout: {seconds: 5}}}",
        "OrderService.GetOrder",
        "read has no worker; name the task queue of the worker that owns the data",
    ),
    "an update of no start RPC": (
        '{update: {of: "PlaceOrder"',
        '{update: {of: "GetOrder"',
        "OrderService.ApproveOrder",
        'of names "GetOrder", no start RPC of OrderService (PlaceOrder, WatchStock); correct it',
    ),
    "a signal of every operation": (
        '{signal: {of: "PlaceOrder"',
        '{signal: {of: "*"',
        "OrderService.ReportShipment",
        'signal of "*" is not served; only an update may be',
    ),
    "a sensitive search attribute": (
        '[(nexpo.options.v1.search_attribute) = "OrderPayment"]',
        '[(nexpo.options.v1.search_attribute) = "OrderPayment",'
        " (nexpo.options.v1.sensitive) = SENSITIVE_REDACT]",
        "PlaceOrderRequest.payment",
        "is sensitive and a search attribute, which is clear text; remove one of them",
    ),
    "a search attribute below the request": (
        "// Its size.\n  string size = 1;",
        '// Its size.\n  string size = 1 [(nexpo.options.v1.search_attribute) = "ParcelSize"];',
        "Parcel.size",
        "is no field of a start's own request, so it never becomes the search attribute"
        " ParcelSize; move it there, or remove search_attribute",
    ),
    "a search attribute of the runtime": (
        '"OrderPayment"',
        '"NexpoState"',
        "PlaceOrderRequest.payment",
        "search attribute NexpoState is the runtime's own; rename it",
    ),
    "a search attribute of the runtime that lists are cut by": (
        '"OrderPayment"',
        '"NexpoTenant"',
        "PlaceOrderRequest.payment",
        "search attribute NexpoTenant is the runtime's own; rename it",
    ),
    "a search attribute over a list": (
        "Payment payment = 5",
        "repeated Payment payment = 5",
        "PlaceOrderRequest.payment",
        "only a single text, number, bool or enum can be a search attribute; remove it",
    ),
    "a hash of something that is no text": (
        "// A discount; zero is one too.\n  optional int32 discount = 8;",
        "// A discount.\n  int32 discount = 8 [(nexpo.options.v1.sensitive) = SENSITIVE_HASH];",
        "ApproveOrderRequest.discount",
        "SENSITIVE_HASH needs a single string; use SENSITIVE_REDACT",
    ),
    **{
        f"a secret that {what}": (
            "  string address = 3 [(nexpo.options.v1.sensitive) = SENSITIVE_REDACT];",
            f"  string address = 3 [(nexpo.options.v1.sensitive) = {options}];{more}",
            "PlaceOrderRequest.address",
            advice,
        )
        for what, options, more, advice in (
            (
                "nothing takes",
                "SENSITIVE_HASH",
                "",
                "SENSITIVE_HASH needs protected_as, the field that takes what is made of it: a"
                " string address_hash, SENSITIVE_REDACT",
            ),
            ("is not replaced", f"SENSITIVE_REDACT, {TAKEN_BY}", "", REMOVE_PROTECTED_AS),
            ("no field takes", f"SENSITIVE_DIGEST, {TAKEN_BY}", "", NO_TAKER),
            (
                "a field takes that is shown",
                f"SENSITIVE_DIGEST, {TAKEN_BY}",
                "\n  // Shown.\n  string taker = 19;",
                NO_TAKER,
            ),
            (
                "a number takes",
                f"SENSITIVE_DIGEST, {TAKEN_BY}",
                f"\n  // No text.\n  int32 taker = 19 [{REDACTED}];",
                NO_TAKER,
            ),
            (
                "a field with rules takes",
                f"SENSITIVE_DIGEST, {TAKEN_BY}",
                f"\n  // Short.\n  string taker = 19"
                f" [(buf.validate.field).string.max_len = 3, {REDACTED}];",
                NO_TAKER,
            ),
        )
    },
    "a list of secrets": (
        "// More about it.\n",
        f"// All.\n  repeated string pins = 19 [{HASHED}];\n"
        f"  // Hashed.\n  string taker = 20 [{REDACTED}];\n  // More about it.\n",
        "PlaceOrderRequest.pins",
        "SENSITIVE_HASH needs a single string; use SENSITIVE_REDACT",
    ),
    "two secrets that one field takes": (
        "// More about it.\n",
        f"// One.\n  string one = 19 [{HASHED}];\n  // Two.\n  string two = 20 [{HASHED}];\n"
        f"  // Of both.\n  string taker = 21 [{REDACTED}];\n  // More about it.\n",
        "PlaceOrderRequest.two",
        'protected_as "taker" is that of another field too; name one of its own',
    ),
    "a secret of a request that no operation records": (
        "message GetOrderRequest {\n",
        "message GetOrderRequest {\n"
        f"  // Secret.\n  string pin = 8 [{HASHED}];\n"
        f"  // Hashed.\n  string taker = 9 [{REDACTED}];\n",
        "OrderService.GetOrder",
        "GetOrderRequest.pin is replaced only on its way to an operation, never for read; use"
        " SENSITIVE_REDACT",
    ),
    "a secret deep in a request that no operation records": (
        "message GetOrderRequest {\n",
        "message GetOrderRequest {\n  // How to find it.\n  Finding finding = 8;\n",
        "OrderService.GetOrder",
        "Secret.pin is replaced only on its way to an operation, never for read",
    ),
    "a field that is a keyword of Python": (
        "string size = 1;",
        "string from = 1;",
        "Parcel.from",
        "is a keyword of Python; rename it",
    ),
    "a path over no field": (
        '"/v1/orders/{order_id}"',
        '"/v1/orders/{id=orders/*}"',
        "OrderService.GetOrder",
        'path "/v1/orders/{id=orders/*}" names "id", which is no single field of'
        " nexpo.orders.v1.GetOrderRequest",
    ),
    "two RPCs with one workflow type": (
        "// What the warehouse does.",
        "// Takes orders of shops.\n"
        "service ShopService {\n"
        "  // Places an order of a shop.\n"
        "  rpc PlaceOrder(PlaceOrderRequest) returns (google.longrunning.Operation) {\n"
        "    option (google.longrunning.operation_info) = {\n"
        '      response_type: "PlaceOrderResponse" metadata_type: "nexpo.operations.v1.Progress"\n'
        "    };\n"
        '    option (nexpo.options.v1.rule) = {start: {id: "{request_id}" queue: "nexpo-orders"'
        " deadline: {seconds: 5} call_timeout: {seconds: 5}}};\n"
        '    option (nexpo.options.v1.permission) = "orders.place";\n'
        "  }\n"
        "}\n"
        "// What the warehouse does.",
        "ShopService.PlaceOrder",
        "nexpo.orders.v1.PlaceOrder is the name of an RPC of OrderService too; rename one",
    ),
    "activities without a queue": (
        'option (nexpo.options.v1.queue) = "nexpo-warehouse";',
        "",
        "nexpo.orders.v1.WarehouseActivities",
        "has activities but no queue; add option (nexpo.options.v1.queue)",
    ),
    "a public RPC among activities": (
        "// Sets goods aside.",
        "// Counts the goods.\n"
        "  rpc CountGoods(CountGoodsRequest) returns (CountGoodsResponse) {\n"
        "    option (nexpo.options.v1.rule) = {native: {}};\n"
        '    option (nexpo.options.v1.permission) = "goods.count";\n'
        "  }\n  // Sets goods aside.",
        "nexpo.orders.v1.WarehouseActivities",
        "has a queue, so only activities may stand in it; move CountGoods",
    ),
    "reads from two workers": (
        "// Follows the stock for ever.",
        "// Counts the orders.\n"
        "  rpc CountOrders(CountOrdersRequest) returns (CountOrdersResponse) {\n"
        '    option (nexpo.options.v1.rule) = {read: {worker: "nexpo-db"'
        " call_timeout: {seconds: 5}}};\n"
        '    option (nexpo.options.v1.permission) = "orders.count";\n'
        "  }\n  // Follows the stock for ever.",
        "nexpo.orders.v1.OrderService",
        "reads of one service need one worker, not nexpo-db, nexpo-orders; split the service",
    ),
    "a read that streams": (
        "returns (GetOrderResponse)",
        "returns (stream GetOrderResponse)",
        "OrderService.GetOrder",
        "streams; only a native method may",
    ),
    "a request that another RPC has": (
        "rpc QuoteOrder(QuoteOrderRequest)",
        "rpc QuoteOrder(ReportShipmentRequest)",
        "OrderService.QuoteOrder",
        "uses nexpo.orders.v1.ReportShipmentRequest; its request must be a QuoteOrderRequest",
    ),
    "activities under another name": (
        "service WarehouseActivities",
        "service WarehouseService",
        "nexpo.orders.v1.WarehouseService",
        "a service of activities must end in Activities; rename it",
    ),
}
# Messages that some of the texts above need, and a sensitive message.
EXTRA = f"""
// What to count.
message CountGoodsRequest {{}}
// How many.
message CountGoodsResponse {{}}
// What to count.
message CountOrdersRequest {{}}
// How many.
message CountOrdersResponse {{}}
// How to find something.
message Finding {{
  // Who may.
  Secret secret = 1;
  // More like it.
  repeated Finding inner = 2;
}}
// What proves it.
message Secret {{
  // Secret.
  string pin = 1 [{HASHED}];
  // Hashed.
  string taker = 2 [{REDACTED}];
}}
"""
SECRET = (
    "// More about it.\n",
    "// Not for every eye.\n"
    "  Parcel secret = 9 [(nexpo.options.v1.sensitive) = SENSITIVE_REDACT];\n"
    "  // Each of them.\n"
    "  repeated Parcel parcels = 10;\n"
    "  // More about it.\n",
)
END = ("// It is given back.\n", EXTRA + "// It is given back.\n")


def test_the_contract_of_these_tests_is_accepted_as_it_is(plugin: Plugin) -> None:
    response = plugin(SECRET, END)

    assert response.error == ""
    assert response.file


@pytest.mark.parametrize("what", REFUSALS)
def test_the_plugin_refuses(what: str, plugin: Plugin) -> None:
    old, new, subject, advice = REFUSALS[what]

    response = plugin(SECRET, END, (old, new))

    lines = response.error.splitlines()[1:]
    assert any(
        line.startswith(f"{ORDERS}:") and f": {subject}: " in line and advice in line
        for line in lines
    ), response.error
    assert not response.file


@pytest.mark.parametrize(
    ("old", "new", "advice"),
    [
        (
            "REASON_USER_NOT_FOUND = 41 [(entry) = "
            '{code: "NOT_FOUND" hint: "Check the user_id; list users with ListUsers."}]',
            "REASON_USER_NOT_FOUND = 41",
            "REASON_USER_NOT_FOUND: has no entry; add [(entry) = {code: ... hint: ...}]",
        ),
        (
            '{code: "NOT_FOUND" hint: "Check the user_id;',
            '{code: "MISSING" hint: "Check the user_id;',
            'REASON_USER_NOT_FOUND: code "MISSING" is unknown; use one of CANCELLED,',
        ),
        (
            '{code: "NOT_FOUND" hint: "Check the user_id;',
            '{code: "OK" hint: "Check the user_id;',
            'REASON_USER_NOT_FOUND: code "OK" is unknown; use one of CANCELLED,',
        ),
        (
            'hint: "Check the user_id; list users with ListUsers."',
            "",
            "REASON_USER_NOT_FOUND: has no hint; say what the user can do about it",
        ),
        (
            "REASON_UNSPECIFIED = 0;",
            'REASON_UNSPECIFIED = 0 [(entry) = {code: "UNKNOWN" hint: "Nothing."}];',
            "REASON_UNSPECIFIED: the zero value is never sent; remove its entry",
        ),
    ],
)
def test_the_error_catalogue_must_be_complete(
    old: str, new: str, advice: str, plugin: Plugin
) -> None:
    response = plugin((old, new), file=ERRORS)

    assert advice in response.error
    assert response.error.splitlines()[1].startswith(f"{ERRORS}:")


@pytest.mark.parametrize("size", [1, 262144])
def test_the_largest_and_the_smallest_request_may_be_named(size: int, plugin: Plugin) -> None:
    place = 'option (nexpo.options.v1.permission) = "orders.place";'
    named = f"{place} option (nexpo.options.v1.max_request_bytes) = {size};"

    assert plugin((place, named)).error == ""


def test_every_problem_is_told_at_once_and_in_the_order_of_the_file(plugin: Plugin) -> None:
    response = plugin(
        ('"orders.place"', '"x"'),
        ("heartbeat: {seconds: 4}", "heartbeat: {seconds: 40}"),
        ("string size = 1;", "string class = 1;"),
    )

    lines = response.error.splitlines()[1:]
    assert len(lines) == 3
    numbers = [int(line.split(":")[1]) for line in lines]
    assert numbers == sorted(numbers)


def test_a_refused_contract_writes_nothing(protos: Path, tmp_path: Path) -> None:
    file = protos / ORDERS
    file.write_text(file.read_text().replace("endless: true", ""), encoding="utf-8")

    with pytest.raises(
        GenerationError, match=r"orders\.proto:\d+: OrderService\.WatchStock: start"
    ):
        generate(protos, tmp_path / "out")

    assert not list((tmp_path / "out").rglob("*.py"))
