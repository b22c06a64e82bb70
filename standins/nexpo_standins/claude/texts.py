"""The stand-in's sentences: a prompt's digest picks from them, nothing is invented."""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass

from .requests import Prompt, tokens


@dataclass(frozen=True, slots=True)
class _Language:
    greetings: tuple[str, ...]
    middles: tuple[str, ...]
    closings: tuple[str, ...]
    anyone: str


_LANGUAGES = {
    "en": _Language(
        ("Welcome, {name}!", "Hello {name}, and welcome!", "Good to have you here, {name}!"),
        (
            "Your account is ready, and everything in it is yours to shape.",
            "Everything is set up, so you can begin whenever you like.",
        ),
        ("Take a look around; we hope you enjoy it.", "Have a good start!"),
        "there",
    ),
    "de": _Language(
        ("Willkommen, {name}!", "Hallo {name}, schön, dass du da bist!"),
        (
            "Dein Konto ist bereit, und du kannst es ganz nach deinen Wünschen einrichten.",
            "Alles ist vorbereitet; du kannst loslegen, wann immer du magst.",
        ),
        ("Sieh dich in Ruhe um.", "Einen guten Start!"),
        "zusammen",
    ),
    "fr": _Language(
        ("Bienvenue, {name} !", "Bonjour {name}, et bienvenue !"),
        (
            "Votre compte est prêt, à vous de le façonner.",
            "Tout est en place : commencez quand vous voulez.",
        ),
        ("Prenez le temps de tout découvrir.", "Bon début !"),
        "à vous",
    ),
    "es": _Language(
        ("¡Te damos la bienvenida, {name}!", "Hola, {name}. ¡Qué alegría que estés aquí!"),
        (
            "Tu cuenta está lista para que la hagas tuya.",
            "Todo está preparado: empieza cuando quieras.",
        ),
        ("Echa un vistazo con calma.", "¡Que empieces bien!"),
        "hola",
    ),
    "it": _Language(
        ("Ti diamo il benvenuto, {name}!", "Ciao {name}, che bello averti qui!"),
        ("Il tuo account è pronto.", "È tutto pronto: comincia quando vuoi."),
        ("Guardati intorno con calma.", "Buon inizio!"),
        "ciao",
    ),
}

_FIELD = r"<{0}>(.*?)</{0}>"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered to a prompt.

    Attributes:
        text: The text, perhaps cut.
        stop_reason: "end_turn", or "max_tokens" when it was cut.
        output_tokens: How many tokens it counts.
        digest: Of the prompt; ids are made of it.
    """

    text: str
    stop_reason: str
    output_tokens: int
    digest: str


def answer(prompt: Prompt) -> Answer:
    """The answer to a prompt: always the same.

    It reads `<name>`, `<language>` (a BCP 47 tag) and nothing else; an unknown
    language gives English.
    """
    material = "\0".join((prompt.model, prompt.system, prompt.user))
    digest = hashlib.sha256(material.encode()).hexdigest()
    tag = _field(prompt.user, "language").lower().partition("-")[0]
    language = _LANGUAGES.get(tag, _LANGUAGES["en"])
    pick = int(digest[:12], 16)
    sentences = []
    for choices in (language.greetings, language.middles, language.closings):
        pick, index = divmod(pick, len(choices))
        sentences.append(choices[index])
    sentences[0] = sentences[0].format(name=_field(prompt.user, "name") or language.anyone)
    text = " ".join(sentences)
    if tokens(text) > prompt.max_tokens:
        return Answer(
            text[: max(0, prompt.max_tokens - 3) * 4], "max_tokens", prompt.max_tokens, digest
        )
    return Answer(text, "end_turn", tokens(text), digest)


def _field(text: str, name: str) -> str:
    found = re.search(_FIELD.format(name), text, re.DOTALL)
    return html.unescape(found.group(1)).strip() if found else ""
