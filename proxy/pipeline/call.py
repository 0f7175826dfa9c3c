"""What every attempt of one request starts from."""

from proxy.domain.credentials import Credentials
from proxy.domain.exchange import Exchange
from proxy.domain.values import value_class
from proxy.pipeline.client_body import StreamedBody, WholeBody
from proxy.pipeline.services import RawRequest, Services, Snapshot

Body = WholeBody | StreamedBody


@value_class
class Call:
    """One admitted request."""

    raw: RawRequest
    body: Body
    credentials: Credentials
    exchange: Exchange
    snapshot: Snapshot
    services: Services
