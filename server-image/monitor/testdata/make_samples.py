"""Makes sample-CODEC.parquet: pip install pyarrow==26.0.1, then python make_samples.py."""

import pyarrow as pa
import pyarrow.parquet as pq

table = pa.table(
    {
        "age": pa.array([31, None, 45.5]),
        "city": pa.array(["Rome, Italy", "Oslo", None]),
        "member": pa.array([True, False, True]),
    }
)
for codec in ["gzip", "zstd", "brotli", "lz4"]:
    pq.write_table(table, f"sample-{codec}.parquet", compression=codec)
