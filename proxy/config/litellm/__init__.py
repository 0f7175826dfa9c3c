"""A LiteLLM proxy's configuration as ours: what has a counterpart is translated, and all else is remarked upon.

`read` turns the files into one tree of `Part`s, `translate` makes texts and remarks of the tree, without I/O. Whatever
key stands in the input ends as a line of the output or in a remark: the `Ledger` keeps account of it.
"""

from proxy.config.litellm.parts import NotLitellm, parse, read
from proxy.config.litellm.remarks import Remark, Verdict, listing
from proxy.config.litellm.translate import Translation, translate

__all__ = ["NotLitellm", "Remark", "Translation", "Verdict", "listing", "parse", "read", "translate"]
