"""Three things to try once the stack is up."""

import json

from nexpo_dev.addresses import Address

_PERSON = {"email": "ada@example.com", "display_name": "Ada", "password": "correct horse battery"}


def three_things_to_try(found: list[Address]) -> str:
    """Commands to copy, with this stack's addresses in them."""
    url = {address.name: address.url for address in found}
    key, rest, grpc = url["API key"], url["REST API"], url["gRPC API"]
    return f"""\
1. Onboard somebody over REST, and read the verification mail:
     curl -s {rest}/v1/users:onboard -H 'authorization: Bearer {key}' \\
       -H 'content-type: application/json' -d '{json.dumps(_PERSON)}'
     curl -s {url["Mailbox"]}
2. The same API from the command line:
     export NEXPO_ADDRESS={grpc} NEXPO_API_KEY={key}
     .venv/bin/nexpo users list-users
3. See the operation's every step in Temporal's Web UI: {url["Temporal Web UI"]}"""
