import gzip
import os
import tracemalloc
import zlib

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.adapters import decompress
from proxy.adapters.decompress import PIECE_BYTES, StreamDecompressor, decode_copy
from proxy.domain.errors import BadRequest, TooLarge, UnsupportedEncoding

MIB = 1024 * 1024


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "identity": bytes,
}
NAMES = sorted(PACKERS)
DETECTS_CUTS = ["gzip", "deflate", "raw deflate", "br"]


def encoding_of(name):
    return name.removeprefix("raw ")


def pack(name, data):
    return PACKERS[name](data)


def bomb(name):
    """About 100 KB or less that stand for 100 MB."""
    if name == "br":
        return brotli.compress(bytes(100 * MIB), quality=5)
    return pack(name, bytes(100 * MIB))


@pytest.mark.parametrize("name", NAMES)
def test_a_body_comes_back(name):
    data = os.urandom(70_000) + bytes(900_000)
    assert decode_copy(pack(name, data), encoding_of(name), len(data)) == data


@pytest.mark.parametrize("name", NAMES)
def test_the_limit_is_inclusive(name):
    packed = pack(name, b"x" * 1000)
    assert decode_copy(packed, encoding_of(name), 1000) == b"x" * 1000
    with pytest.raises(TooLarge):
        decode_copy(packed, encoding_of(name), 999)


@pytest.mark.parametrize("name", DETECTS_CUTS)
def test_a_cut_body_is_a_bad_request(name):
    packed = pack(name, b"words and more words " * 50)
    for end in (0, 1, len(packed) // 2, len(packed) - 1):
        with pytest.raises(BadRequest):
            decode_copy(packed[:end], encoding_of(name), 10_000)


def test_a_cut_zstd_body_gives_a_prefix():
    data = os.urandom(300_000)
    got = decode_copy(zstandard.compress(data)[:200_000], "zstd", len(data))
    assert data.startswith(got)
    assert len(got) < len(data)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "identity"])
def test_what_follows_the_end_is_a_bad_request(name):
    with pytest.raises(BadRequest):
        decode_copy(pack(name, b"words") + b"more", encoding_of(name), 100)


@pytest.mark.parametrize("name", ["gzip", "br", "zstd", "deflate"])
def test_what_is_not_compressed_is_a_bad_request(name):
    with pytest.raises(BadRequest) as caught:
        decode_copy(b'{"model":"secret"}' * 10, name, 10_000)
    assert "secret" not in caught.value.public_message


@pytest.mark.parametrize("encoding", ["gzip, br", "compress", "gzip;q=1", "chunked", "\u0130"])
def test_other_encodings_are_unsupported(encoding):
    with pytest.raises(UnsupportedEncoding):
        decode_copy(b"", encoding, 10)


@pytest.mark.parametrize("encoding", ["GZIP", " gzip ", "x-gzip"])
def test_spellings_of_gzip(encoding):
    assert decode_copy(gzip.compress(b"words"), encoding, 100) == b"words"


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_members_and_frames_are_joined(name):
    assert decode_copy(pack(name, b"one ") + pack(name, b"two"), name, 100) == b"one two"


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_costs_no_more_memory_than_the_limit(name):
    packed = bomb(name)
    assert len(packed) < 110_000
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decode_copy(packed, name, 2 * MIB)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2 * MIB + 8 * PIECE_BYTES


def test_many_empty_gzip_members_are_refused_early(monkeypatch):
    made = []
    real = zlib.decompressobj

    def count(wbits):
        made.append(wbits)
        return real(wbits=wbits)

    monkeypatch.setattr(zlib, "decompressobj", count)
    with pytest.raises(BadRequest):
        decode_copy(gzip.compress(b"") * 10_000, "gzip", 100)
    assert len(made) == decompress.MAX_GZIP_MEMBERS


def test_a_zstd_frame_may_not_ask_for_a_large_window():
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(os.urandom(1000)) + packer.flush()
    with pytest.raises(BadRequest):
        decode_copy(packed, "zstd", 10_000)


@settings(max_examples=60)
@given(name=st.sampled_from(NAMES), data=st.binary(max_size=400), sizes=st.lists(st.integers(0, 50), max_size=20))
def test_a_stream_is_the_same_for_any_split(name, data, sizes):
    packed = pack(name, data)
    stream, got, at = StreamDecompressor(encoding_of(name), 1000), b"", 0
    for size in [*sizes, len(packed)]:
        got += stream.feed(packed[at : at + size])
        at += size
    assert got == data
    assert not stream.degraded


def flushed_gzip(data):
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


def flushed_brotli(data):
    packer = brotli.Compressor()
    return packer.process(data) + packer.flush()


def flushed_zstd(data):
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(data) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


@pytest.mark.parametrize(("name", "flushed"), [("gzip", flushed_gzip), ("br", flushed_brotli), ("zstd", flushed_zstd)])
def test_flushed_parts_of_a_stream_come_at_once(name, flushed):
    assert StreamDecompressor(name, 1000).feed(flushed(b"data: 1\n\n")) == b"data: 1\n\n"


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_stream_degrades_at_its_limit(name):
    stream = StreamDecompressor(name, MIB)
    packed = bomb(name)
    got = stream.feed(packed)
    assert stream.degraded
    assert len(got) <= MIB
    assert stream.feed(packed) == b""


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_stream_degrades_on_damage_and_stays_so(name):
    stream = StreamDecompressor(name, MIB)
    assert stream.feed(b"\x00not compressed" * 20) == b""
    assert stream.degraded
    assert stream.feed(pack(name, b"words")) == b""


def test_what_came_before_the_damage_is_given():
    stream = StreamDecompressor("gzip", MIB)
    assert stream.feed(gzip.compress(b"words") + b"damage") == b"words"
    assert stream.degraded


def test_a_stream_of_unknown_encoding_is_degraded_from_the_start():
    stream = StreamDecompressor("gzip, br", MIB)
    assert stream.degraded
    assert stream.feed(gzip.compress(b"words")) == b""


@settings(max_examples=60)
@given(name=st.sampled_from(["gzip", "deflate", "br", "zstd"]), chunks=st.lists(st.binary(max_size=60), max_size=8))
def test_no_bytes_make_a_stream_raise(name, chunks):
    stream = StreamDecompressor(name, 500)
    for chunk in chunks:
        stream.feed(chunk)
