"""Pure wire codecs: bytes of a provider's reply in, what they mean out; no I/O, no clock.

`codecs.decoder_for` picks the decoder of a reply; `include_usage` makes streams report their usage and hides
from the client that they were asked to.
"""
