"""Three things to try once the stack is up."""

import json

from nexpo_dev.addresses import Address

_PERSON = {"email": "ada@example.com", "display_name": "Ada", "password": "correct horse battery"}


def three_things_to_try(found: list[Address]) -> str:
    """Commands to copy, with this stack's addresses in them."""
    url = {address.name: address.url for address in found}
    key, rest, grpc = url["API key"], url["REST API"], url["gRPC API"]
    return f"""\
1. Onboard somebody, read the mail, open the link in it:
     curl -s {rest}/v1/users:onboard -H 'authorization: Bearer {key}' \\
       -H 'content-type: application/json' -d '{json.dumps(_PERSON)}'
     curl -s {url["Mailbox"]}
2. Ask from the command line who is there, and see each step in {url["Temporal Web UI"]}:
     export NEXPO_ADDRESS={grpc} NEXPO_API_KEY={key}
     .venv/bin/nexpo users list
3. Kill a worker half-way (`make status` shows its pid), then `make up` again: nothing is lost."""
