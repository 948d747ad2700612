"""Texts that fit a pattern, made from the pattern itself: short ones, long ones, and any by chance."""

from __future__ import annotations

import random
import re._constants as codes  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import string
from typing import Any

from fuzz.verdicts import compiled

_PLENTY = 12
"""How often something is repeated that may be repeated without end."""
_ANY = string.ascii_letters + string.digits + "_-. "


def text(
    pattern: str, rng: random.Random, *, least: int = 0, most: int = 1024, wanted: int | None = None
) -> str | None:
    """A text of `least` to `most` characters that fits `pattern`, of `wanted` characters if that can be; None if none was found."""
    tree = parser.parse(pattern)
    for attempt in range(60):
        plenty = _PLENTY if wanted is None else max(wanted, 1)
        generous = 0.5 if wanted is None else min(0.5 + attempt / 40, 1.0)
        made = _made(tree, rng, plenty, generous)
        if wanted is not None:
            made = _of_length(made, wanted, pattern) or ""
        fits = least <= len(made) <= most and compiled(pattern).search(made)
        if fits and (wanted is None or len(made) == wanted):
            return made
    return None


def _of_length(made: str, wanted: int, pattern: str) -> str | None:
    """`made` with characters left out of, or repeated in its middle."""
    if len(made) > wanted:
        made = made[: wanted // 2] + made[len(made) - (wanted - wanted // 2) :]
    elif made:
        middle = len(made) // 2
        made = made[:middle] + made[middle] * (wanted - len(made)) + made[middle:]
    return made if len(made) == wanted and compiled(pattern).search(made) else None


def _made(tree: Any, rng: random.Random, plenty: int, generous: float) -> str:
    return "".join(_part(code, argument, rng, plenty, generous) for code, argument in tree)


def _part(code: Any, argument: Any, rng: random.Random, plenty: int, generous: float) -> str:
    match code:
        case codes.LITERAL:
            return chr(argument)
        case codes.NOT_LITERAL:
            return rng.choice([letter for letter in _ANY if letter != chr(argument)])
        case codes.ANY:
            return rng.choice(_ANY)
        case codes.AT:
            return ""
        case codes.IN:
            return rng.choice(_members(argument))
        case codes.BRANCH:
            return _made(rng.choice(argument[1]), rng, plenty, generous)
        case codes.SUBPATTERN:
            return _made(argument[-1], rng, plenty, generous)
        case codes.MAX_REPEAT | codes.MIN_REPEAT:
            low, high, inner = argument
            top = min(int(high), max(low, plenty)) if high is not codes.MAXREPEAT else max(low, plenty)
            times = top if rng.random() < generous - 0.5 else rng.randint(low, top)
            return "".join(_made(inner, rng, plenty, generous) for _ in range(times))
    raise ValueError(f"a pattern with {code} is not understood here: teach this function")


def _members(argument: Any) -> str:
    result = ""
    for code, value in argument:
        match code:
            case codes.LITERAL:
                result += chr(value)
            case codes.RANGE:
                result += "".join(map(chr, range(value[0], value[1] + 1)))
            case codes.CATEGORY:
                result += string.digits if value is codes.CATEGORY_DIGIT else string.ascii_letters
            case codes.NEGATE:
                return "".join(letter for letter in _ANY if letter not in _members(argument[1:]))
    return result
