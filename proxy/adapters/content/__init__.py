"""Content of calls that configuration asks for: redacted, encrypted, bounded, deleted in time, and each opening noted.

handover   what a worker does: hands references to a thread, which writes them to a child process
keeper     the child: takes content apart, redacts, seals, stores, and deletes what is over the bounds
document   what of a call's bytes is kept, by the level
sealing    AES-GCM under a key of the environment
files      one SQLite file per worker, whose deleted rows are gone
opening    for pages and the command line: one call's content, for who may see it, and who has seen what
"""
