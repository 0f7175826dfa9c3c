"""The kept records of all workers as tables of SQL: for pages, reports and experiments.

The journals keep a JSON text for each call and each outcome, which is right for writing and slow to ask. Here the
same rows stand in typed columns: what is older in Parquet files below `store/` in the data folder, what is newest in
memory, read from the journals at each `refresh`. The files are derived: where the folder is deleted, the next look
makes it again from what the journals still hold.

    journals   what is new in the journals since a mark, page by page
    columns    what stands in a record, and the statement that takes it apart
    segments   the files, and the list that says which of them count; one writer at a time, by a lock
    database   DuckDB within bounds
    tables     what others use: `open_analysis` and `query`; `forget` and `expire`

All of it blocks and takes memory: it is for the command line and for child processes, never for a worker.
"""

from proxy.adapters.analysis.tables import Analysis as Analysis
from proxy.adapters.analysis.tables import expire as expire
from proxy.adapters.analysis.tables import forget as forget
from proxy.adapters.analysis.tables import open_analysis as open_analysis
