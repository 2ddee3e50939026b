"""RocksDB as the gate opens it: small buffers that all slots of a worker share, and no write that waits.

The only module that knows how it is set up. Its library has no kinds of errors: it raises Exception.
"""

from __future__ import annotations

import shutil
import time
from functools import cache
from pathlib import Path
from typing import Any

from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
)

FULL_SIZE_AT = 600_000
"""Values that a worker keeps in memory for which cache and buffers have their full size; for fewer they are smaller."""
CACHE_BYTES, CACHE_BYTES_MIN = 32 * 1024 * 1024, 2 * 1024 * 1024
WRITE_BUFFER_BYTES = 8 * 1024 * 1024
WRITE_BUFFERS_BYTES, WRITE_BUFFERS_BYTES_MIN = 64 * 1024 * 1024, 8 * 1024 * 1024
READ_AHEAD_BYTES = 256 * 1024
"""Of each file that is merged. RocksDB takes 2 MiB, and merges dozens at once when replaced values have become many."""
BLOOM_BITS = 10
LEAVING_S, LOOK_AGAIN_S = 3.0, 0.05
"""For a worker of this machine to close a slot that it has lost; to read all of its log instead would take longer."""
_REPLACED = "replaced"


def sized(values: int) -> None:
    """Give cache and buffers of this worker the size that goes with so many values in memory."""
    blocks, buffers = _shared()
    share = min(values / FULL_SIZE_AT, 1.0)
    blocks.set_capacity(max(CACHE_BYTES_MIN, int(CACHE_BYTES * share)))
    buffers.set_buffer_size(max(WRITE_BUFFERS_BYTES_MIN, int(WRITE_BUFFERS_BYTES * share)))


def batch() -> Any:
    """An empty write batch: a mapping of bytes that is written whole or not at all."""
    return WriteBatch(raw_mode=True)


def opened(path: Path, wait_s: float = 0.0) -> Any:
    """The database in a folder, made if there is none. Raises Exception: damaged, or a process works with it.

    `wait_s`: how long to wait for another process to be done with it; a call for a thread.
    """
    until = time.monotonic() + wait_s
    while True:
        families = {"default": _options(), _REPLACED: _options()}
        try:
            return Rdict(str(path), options=_options(), column_families=families)
        except Exception as error:
            if "lock" not in str(error).lower() or time.monotonic() >= until:
                raise
        time.sleep(LOOK_AGAIN_S)


def replaced(database: Any) -> tuple[Any, Any]:
    """What replaced values are read from, and what a write batch calls it.

    Apart from the states, so that merging files of those does not write them again and again.
    """
    return database.get_column_family(_REPLACED), database.get_column_family_handle(_REPLACED)


def last_key(family: Any) -> bytes | None:
    """The greatest key; None = there is none."""
    found: bytes | None = next(iter(family.keys(backwards=True)), None)
    return found


def _options() -> Options:
    blocks, buffers = _shared()
    table = BlockBasedOptions()
    table.set_block_cache(blocks)
    table.set_bloom_filter(BLOOM_BITS, False)
    # Bounded by the cache, and in parts: an index of hundreds of KiB does not fit into one of the cache's shards, and
    # would be read anew with every look-up.
    table.set_cache_index_and_filter_blocks(True)
    table.set_index_type(BlockBasedIndexType.two_level_index_search())
    table.set_partition_filters(True)
    table.set_pin_top_level_index_and_filter(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_write_buffer_manager(buffers)
    options.set_max_write_buffer_number(4)
    options.set_level_zero_slowdown_writes_trigger(40)  # a write that waits would hold up all slots
    options.set_level_zero_stop_writes_trigger(80)
    options.set_max_background_jobs(2)
    options.set_max_open_files(128)
    options.set_compaction_readahead_size(READ_AHEAD_BYTES)
    options.set_max_total_wal_size(4 * WRITE_BUFFER_BYTES)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1024 * 1024)
    options.set_stats_dump_period_sec(0)
    return options


def remove(path: Path) -> bool:
    """Delete a folder of states; False = a process works with it."""
    try:
        Rdict.destroy(str(path), Options(raw_mode=True))
    except Exception:  # noqa: BLE001 - the library has no kinds of errors
        return False
    shutil.rmtree(path, ignore_errors=True)
    return True


@cache
def _shared() -> tuple[Any, Any]:
    """What all slots of a worker share: the cache of blocks, and room for what is written and not yet in a file."""
    return Cache(CACHE_BYTES), WriteBufferManager(WRITE_BUFFERS_BYTES, False)
