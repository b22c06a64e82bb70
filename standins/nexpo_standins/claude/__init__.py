"""A stand-in for Claude's Messages API. It is not Claude, nor any other model.

It speaks the wire protocol of `POST /v1/messages` (with streaming), of
`/v1/messages/count_tokens` and of `/v1/models` as far as the real SDK needs it:
the same bodies, errors, headers and stream events, so that the real SDK is what
is tested. Its "answers" are short welcome texts put together from fixed
sentences by a digest of the prompt: the same prompt always gives the same text.

    python -m nexpo_standins.claude --port 8100

It keeps nothing, so there is nothing to lose when it is killed.
`/_fault` makes it fail (see faults.py) and `/_requests` tells what it was asked.
"""

API_KEY = "nexpo-dev-claude"
"""The only key that it accepts, unless it is started with --api-key."""
