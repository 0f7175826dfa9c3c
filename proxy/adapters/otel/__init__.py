"""OpenTelemetry: traces and metrics of calls by the GenAI semantic conventions. Imported only where it was asked for.

attributes   what is said of a call      measures   the metrics
spans        the spans                   export     the SDK's pipelines, their bounds and their end
"""

from proxy.adapters.otel.export import OtelExport as OtelExport
