"""The stand-ins that this project wrote, each started as its own process."""

import base64
import secrets
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import httpx

from nexpo_dev import ports
from nexpo_dev.certificates import Authority
from nexpo_dev.servers.postgresql import PostgresServer, let_pass
from nexpo_dev.servers.server import Server, accepts

_LASTS = timedelta(days=3650)  # a stack may be kept


class CosmosServer(Server):
    """The Cosmos DB stand-in, `nexpo_standins.cosmosdb`."""

    name = "cosmosdb"

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        super().__init__(folder, port=port)
        self.key = self.memory.text("key", _base64_key)

    @property
    def url(self) -> str:
        """The account's end point."""
        return f"http://{ports.HOST}:{self.port}/"

    def command(self) -> Sequence[str | Path]:
        """python -m nexpo_standins.cosmosdb."""
        return [
            *(sys.executable, "-m", "nexpo_standins.cosmosdb", "--port", str(self.port)),
            *("--data", self.folder / "data", "--key", self.key),
        ]

    async def answers(self) -> bool:
        """Whether it takes connections."""
        return await accepts(self.port)


class SqlServer(Server):
    """The SQL Server stand-in, `nexpo_standins.sqlserver`, on a PostgreSQL cluster of its own.

    It has a certificate for 127.0.0.1 and localhost, of an authority that it made and forgot.

    Attributes:
        encrypt: What `url` asks of the driver: "strict", "mandatory" or "optional".
        authority: PEM file of the authority.
    """

    name = "sqlserver"
    user_name: ClassVar[str] = "nexpo"

    def __init__(self, folder: Path, *, durable: bool = True, port: int | None = None) -> None:
        super().__init__(folder, port=port)
        let_pass(self.folder)
        self.encrypt = "mandatory"
        self.authority = self.folder / "authority.pem"
        self.password = self.memory.secret("password")
        self.postgres = PostgresServer(self.folder / "postgres", durable=durable)
        self.parts = [self.postgres]

    @property
    def url(self) -> str:
        """mssql://nexpo:password@127.0.0.1:port/nexpo?Encrypt=mandatory&Certificate=file."""
        return (
            f"mssql://{self.user_name}:{self.password}@{ports.HOST}:{self.port}/nexpo"
            f"?Encrypt={self.encrypt}&Certificate={quote(str(self.authority))}"
        )

    async def prepare(self) -> None:
        """Has the certificate made, once."""
        if not self.authority.exists():
            authority = Authority(_LASTS)
            authority.issue(self.folder, "localhost", ports.HOST, lasts=_LASTS)
            authority.write(self.folder)  # last: where it is, the others are

    def command(self) -> Sequence[str | Path]:
        """python -m nexpo_standins.sqlserver."""
        return [
            *(sys.executable, "-m", "nexpo_standins.sqlserver", "--port", str(self.port)),
            *("--database-url", self.postgres.url),
            *("--user", self.user_name, f"--password={self.password}"),  # it may begin with a dash
            *("--certificate", self.folder / "localhost.pem"),
            *("--key", self.folder / "localhost.key"),
        ]

    async def answers(self) -> bool:
        """Whether it takes connections."""
        return await accepts(self.port)


class ClaudeServer(Server):
    """The deterministic /v1/messages server, `nexpo_standins.claude`."""

    name = "claude"
    api_key: ClassVar[str] = "nexpo-dev-claude"

    @property
    def url(self) -> str:
        """The base URL for the SDK."""
        return f"http://{ports.HOST}:{self.port}"

    def command(self) -> Sequence[str | Path]:
        """python -m nexpo_standins.claude."""
        return [sys.executable, "-m", "nexpo_standins.claude", "--port", str(self.port)]

    async def answers(self) -> bool:
        """Whether it takes connections."""
        return await accepts(self.port)


class MailboxServer(Server):
    """The SMTP catcher, `nexpo_dev.mailbox`."""

    name = "mailbox"

    def __init__(
        self, folder: Path, *, port: int | None = None, smtp_port: int | None = None
    ) -> None:
        super().__init__(folder, port=port)
        self.smtp_port = self.memory.port("smtp_port", smtp_port)

    @property
    def url(self) -> str:
        """Its HTTP API: the mails and the faults."""
        return f"http://{ports.HOST}:{self.port}"

    @property
    def smtp_url(self) -> str:
        """Where to send mail."""
        return f"smtp://{ports.HOST}:{self.smtp_port}"

    def command(self) -> Sequence[str | Path]:
        """python -m nexpo_dev.mailbox."""
        return [
            *(sys.executable, "-m", "nexpo_dev.mailbox", "--port", str(self.smtp_port)),
            *("--http-port", str(self.port), "--data", self.folder / "mails"),
        ]

    async def answers(self) -> bool:
        """Whether both of its ports serve."""
        async with httpx.AsyncClient() as http:
            (await http.get(f"{self.url}/mails")).raise_for_status()
        return await accepts(self.smtp_port)


def _base64_key() -> str:
    """64 random bytes as Cosmos DB writes its account keys."""
    return base64.b64encode(secrets.token_bytes(64)).decode()
