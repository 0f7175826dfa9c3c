"""What every stage of one request starts from."""

from proxy.domain.credentials import Credentials
from proxy.domain.exchange import Exchange
from proxy.domain.values import value_class
from proxy.pipeline.client_body import StreamedBody, WholeBody
from proxy.pipeline.services import RawRequest, Services, Snapshot

Body = WholeBody | StreamedBody


@value_class
class Call:
    """One request whose credentials are good."""

    raw: RawRequest
    credentials: Credentials
    exchange: Exchange
    snapshot: Snapshot
    services: Services
