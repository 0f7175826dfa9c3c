"""Name patterns of the configuration: `*` stands for any run of characters, everything else for itself."""

from fnmatch import fnmatchcase


def is_glob(pattern: str) -> bool:
    """True when the pattern may match more than one name."""
    return "*" in pattern


def matches(pattern: str, name: str) -> bool:
    """Case counts; `?` and `[` have no meaning of their own."""
    if not is_glob(pattern):
        return pattern == name
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))


def covers(pattern: str, other: str) -> bool:
    """True when `pattern` matches every name that the pattern `other` does."""
    return matches(pattern, other.replace("*", "\0"))  # only a `*` matches a character that stands in no name


def precedence(pattern: str) -> tuple[bool, int]:
    """Sort key, first wins: exact names, then the pattern that says most; a stable sort keeps file order in ties."""
    return is_glob(pattern), -len(pattern.replace("*", ""))
