"""OpenTelemetry: traces and metrics of calls by the GenAI semantic conventions. Imported only where it was asked for.

Metrics are counted in each worker, as calls end. Traces are made of what the journals keep, by a child process of one
worker, so that a collector may be away for as long as calls are kept.

    attributes   names, and what metrics say        measures  the metrics
    kept         what spans say, out of records     metrics   their export from a worker
    messages     what was said, by the conventions  content   the same, where it is kept
    spans        the spans                          backlog   those that wait, out of the journals
    delivery     one batch to the collector         exporter  the child process
    sdk          what both need of the SDK
"""
