"""Writes what is made from code: the pages, and the schemas of the configuration files."""

from tools.docs import MADE

for path, make in MADE.items():
    path.parent.mkdir(exist_ok=True)
    path.write_text(make())
