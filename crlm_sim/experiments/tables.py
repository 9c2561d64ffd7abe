"""Parquet files that grow block by block and take their name only when they are whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas
    import pyarrow.parquet


class TableWriter:
    """One parquet file, written in row groups; call `close` when all is in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._writer: pyarrow.parquet.ParquetWriter | None = None

    def add(self, frames: Sequence[pandas.DataFrame], by: list[str]) -> None:
        """Append frames of the same patients, one a policy, sorted by the columns `by`."""
        import pandas
        import pyarrow
        import pyarrow.parquet

        frame = pandas.concat(frames, ignore_index=True).sort_values(by, kind="stable")
        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._partial, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._writer is not None:
            self._writer.close()
            self._partial.rename(self._path)
