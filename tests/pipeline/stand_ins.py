"""Stand-ins for what remembers, and for what looks at answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from proxy.adapters.check_process import findings
from proxy.domain.checks import Finding, HeavyRule


class FakeSharedMemory(dict[bytes, bytes]):
    """Forgets nothing."""

    def recall(self, key: bytes) -> bytes | None:
        return self.get(key)

    def remember(self, key: bytes, value: bytes) -> bool:
        assert len(key) == 16
        assert len(value) <= 96
        is_new = key not in self
        self[key] = value
        return is_new

    def revise(self, key: bytes, change: Callable[[bytes | None], bytes]) -> bytes | None:
        known = self.recall(key)
        self.remember(key, change(known))
        return known


@dataclass
class FakeChecker:
    """Looks right here and answers at once, with nothing, or not at all when full."""

    is_full: bool = False
    is_dead: bool = False
    texts: list[str] = field(default_factory=list)

    def submit(
        self, rules: tuple[HeavyRule, ...], text: str, done: Callable[[Mapping[HeavyRule, Finding]], None]
    ) -> bool:
        if self.is_full:
            return False
        self.texts.append(text)
        found = {} if self.is_dead else zip(rules, findings(rules, text), strict=True)
        done({rule: finding for rule, finding in dict(found).items() if finding is not None})
        return True
