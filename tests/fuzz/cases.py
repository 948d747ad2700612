"""What is tried, as values that can be written down and tried again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

Class = Literal["M1", "M2", "M3", "M4", "M5"]


@dataclass(frozen=True)
class Case:
    """One spec, or one walk through several, of one object."""

    of: Class
    kind: str
    title: str
    specs: tuple[Any, ...]
    """One after the other; the last one is what must count."""
    waits: tuple[float, ...] = ()
    """Seconds before each further spec; negative: until the object has said how it stands."""
    more: dict[str, Any] | None = None
    """What a class needs besides: labels, annotations, a status, other objects, what is expected."""

    def to_yaml(self) -> str:
        return yaml.safe_dump(json.loads(json.dumps(asdict(self))), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str) -> Case:
        parsed = yaml.safe_load(text)
        return cls(**{**parsed, "specs": tuple(parsed["specs"]), "waits": tuple(parsed["waits"])})

    def __str__(self) -> str:
        return f"{self.of} {self.kind}: {self.title}"


@dataclass(frozen=True)
class Failure:
    """A case, and what was wrong with what came of it."""

    case: Case
    problems: tuple[str, ...]

    def save(self, folder: Path) -> Path:
        """Write the case so that `replay` can try it again; the problems stand above it as comments."""
        folder.mkdir(parents=True, exist_ok=True)
        text = self.case.to_yaml()
        path = folder / f"{self.case.of}-{self.case.kind}-{hashlib.sha256(text.encode()).hexdigest()[:10]}.yaml"
        comments = "".join(f"# {line}\n" for line in (str(self.case), *self.problems) for line in line.splitlines())
        path.write_text(comments + text)
        return path


def digest(value: Any) -> str:
    """The same for equal values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def summary(failures: Sequence[Failure]) -> str:
    """Failures for a reader."""
    return "\n\n".join(f"{failure.case}\n" + "\n".join(failure.problems) for failure in failures)
