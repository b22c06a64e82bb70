"""The command line: groups, commands and flags, all from the contract's descriptors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from cyclopts import App, Group, Parameter, Token
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from . import __version__, values
from .contract import comment, registry
from .exits import EXPLAINED, Exit
from .flags import Flag, flags_of
from .naming import command_names, group_names, kebab
from .requests import SecretSource, Typed, parse
from .screen import PlainConsole

_GLOBAL = Group("Connection and output", sort_key=20)
_ABOUT = """Nexpo: durable operations from the command line.

Groups are the services of the contract; each command is one RPC of it."""
_EPILOGUE = f"""{EXPLAINED}

Address, api_key, tls and ca can also stand in ~/.config/nexpo/config.toml (or NEXPO_CONFIG)."""


def make_app() -> App:
    """The whole command line; call its `meta`, which takes the options of every command."""
    app = App(
        name="nexpo",
        help=_ABOUT,
        help_epilogue=_EPILOGUE,
        version=__version__,
        help_format="plaintext",
        result_action="return_value",
        console=PlainConsole(highlight=False, markup=False, emoji=False),
    )
    services = [service for service in registry.services() if registry.is_public(service)]
    groups = group_names(services)
    for service in services:
        group = App(
            name=groups[service.full_name], help=comment(service.full_name), help_epilogue=EXPLAINED
        )
        names = command_names(service)
        for method in service.methods:
            run, about = _command(method), _about(method)
            group.command(run, name=names[method.name], help=about)
            full = kebab(method.name)
            if full not in names.values():
                group.command(run, name=full, help=about, show=False)
        app.command(group)
    app.register_install_completion_command(add_to_startup=False)
    app.meta.default(_launcher(app))
    return app


def _launcher(app: App) -> Callable[..., Any]:
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        address: Annotated[
            str | None,
            Parameter(
                env_var="NEXPO_ADDRESS",
                help="Where the gateway's gRPC is: host:port. 127.0.0.1:8450 when not given.",
            ),
        ] = None,
        api_key: Annotated[
            str | None,
            Parameter(
                env_var="NEXPO_API_KEY",
                help="The credential. Better set the variable: others can see a command line.",
            ),
        ] = None,
        timeout: Annotated[
            float | None,
            Parameter(
                converter=_seconds,
                metavar="DURATION",
                help="Give up after so long, such as 30s or 5m: the call, and waiting with it.",
            ),
        ] = None,
        output: Annotated[
            Literal["human", "json"],
            Parameter(
                name=("--output", "-o"),
                env_var="NEXPO_OUTPUT",
                help="json: protobuf's JSON on standard output, a line each; errors too, on "
                "standard error.",
            ),
        ] = "human",
        tls: Annotated[
            bool | None, Parameter(env_var="NEXPO_TLS", help="Encrypt the connection.")
        ] = None,
        ca: Annotated[
            str | None,
            Parameter(
                env_var="NEXPO_CA",
                metavar="FILE",
                help="Trust the certificates in this PEM file, not the system's; means --tls.",
            ),
        ] = None,
    ) -> Any:
        from .run import Options

        encrypt = True if ca and tls is None else tls
        _chosen.options = Options(address, api_key, encrypt, ca, timeout, output == "json")
        return app(tokens, exit_on_error=False, print_error=False)

    app.meta.group_parameters = _GLOBAL
    return launch


class _Chosen:
    """What the launcher read, for the command that it launches."""

    options: Any = None


_chosen = _Chosen()


def _command(method: MethodDescriptor) -> Callable[..., Exit]:
    """A function whose signature has a parameter for everything that the method takes."""
    flags = flags_of(method)
    starts = registry.rule(method).HasField("start")
    parameters: list[inspect.Parameter] = []
    named: dict[str, Flag] = {}
    for index, flag in enumerate(flags):
        named[f"field_{index}"] = flag
        parameters.append(_parameter(f"field_{index}", flag))
        if flag.secret:
            parameters += _secret_parameters(index, flag)
    parameters += _own_parameters(starts)

    def command(**given: Any) -> Exit:
        from .run import Command

        sources = {
            flag: SecretSource(bool(given.get(f"{name}_stdin")), given.get(f"{name}_env"))
            for name, flag in named.items()
            if flag.secret
        }
        typed = Typed(
            json=given.get("json"),
            given={flag: given[name] for name, flag in named.items() if name in given},
            sources=sources,
        )
        wait, follow = bool(given.get("wait")), bool(given.get("follow"))
        return Command(method, typed, _chosen.options, wait, follow).run()

    # cyclopts calls by this signature: positional ones too, so it is given them by name.
    def positional(*arguments: Any, **given: Any) -> Exit:
        names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        return command(**dict(zip(names, arguments, strict=False)), **given)

    positional.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # PEP 362
    positional.__name__ = kebab(method.name)
    return positional


def _parameter(name: str, flag: Flag) -> inspect.Parameter:
    field = flag.field
    single_bool = (
        field.cpp_type == FieldDescriptor.CPPTYPE_BOOL
        and not field.is_repeated
        and field.message_type is None
    )
    if single_bool:
        hint: Any = Annotated[bool | None, Parameter(name=flag.name, help=flag.help)]
    else:
        number = flag.metavar.startswith("NUMBER")
        options = Parameter(
            name=flag.name,
            help=flag.help,
            metavar=flag.metavar,
            converter=_converter(flag),
            negative=(),
            allow_leading_hyphen=number,
        )
        hint = Annotated[list[str] | None if flag.several else str | None, options]
    of = inspect.Parameter
    kind = of.POSITIONAL_OR_KEYWORD if flag.positional else of.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=None, annotation=hint)


def _converter(flag: Flag) -> Callable[[Any, Sequence[Token]], Any]:
    def convert(_: Any, tokens: Sequence[Token]) -> Any:
        return parse(flag, [token.value for token in tokens])

    return convert


def _secret_parameters(index: int, flag: Flag) -> list[inspect.Parameter]:
    stdin = Parameter(
        name=f"{flag.name}-stdin",
        negative=(),
        show_default=False,
        help=f"Read {flag.name} from standard input.",
    )
    variable = Parameter(
        name=f"{flag.name}-env",
        metavar="VARIABLE",
        help=f"Read {flag.name} from this environment variable. Asked for on a terminal.",
    )
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(
            f"field_{index}_stdin", kind, default=False, annotation=Annotated[bool, stdin]
        ),
        inspect.Parameter(
            f"field_{index}_env", kind, default=None, annotation=Annotated[str | None, variable]
        ),
    ]


def _own_parameters(starts: bool) -> list[inspect.Parameter]:
    kind = inspect.Parameter.KEYWORD_ONLY
    json = Parameter(
        name="--json",
        metavar="JSON",
        allow_leading_hyphen=True,
        help="The whole request as JSON: {...}, @file, or - for standard input; flags change it.",
    )
    found = [inspect.Parameter("json", kind, default=None, annotation=Annotated[str | None, json])]
    if starts:
        wait = Parameter(
            name="--wait",
            negative=(),
            show_default=False,
            help="Wait until the operation has ended.",
        )
        follow = Parameter(
            name="--follow", negative=(), show_default=False, help="Wait, and show its progress."
        )
        found += [
            inspect.Parameter(name, kind, default=False, annotation=Annotated[bool, option])
            for name, option in (("wait", wait), ("follow", follow))
        ]
    return found


def _about(method: MethodDescriptor) -> str:
    facts = [f"RPC {registry.rpc_name(method)}"]
    for rule in registry.http_rules(method)[:1]:
        verb = rule.WhichOneof("pattern") or ""
        facts.append(f"{verb.upper()} {getattr(rule, verb, '')}")
    facts.append(f"permission {registry.permission(method)}")
    return f"{comment(method.full_name)}\n\n{'; '.join(facts)}."


def _seconds(_: Any, tokens: Sequence[Token]) -> float:
    found = values.seconds(tokens[0].value)
    if found <= 0:
        raise ValueError("must be more than nothing")
    return found
