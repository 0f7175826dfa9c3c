"""Why a host gave no answer, and what to do about it; the same for all of them."""

from proxy.adapters.probe import PATIENCE_S, Failure

_DIRECT = "The proxy connects directly: HTTPS_PROXY is not used"
_FAILURES: dict[Failure, tuple[str, str]] = {
    Failure.DNS: (
        "its name does not resolve",
        f"check the spelling, and that names are resolved here. {_DIRECT}",
    ),
    Failure.REFUSED: ("the connection is refused", "is it running? check the port"),
    Failure.NO_ROUTE: ("there is no way to it", "let this machine reach it: firewall, security group, VPN, routes"),
    Failure.TIMEOUT: (
        f"no answer within {PATIENCE_S:.0f} s",
        f"a firewall that drops what it forbids? {_DIRECT}",
    ),
    Failure.CERTIFICATE_EXPIRED: (
        "its certificate is out of date",
        "renew it there; if it is valid, this machine's clock is wrong",
    ),
    Failure.CERTIFICATE_NAME: (
        "its certificate is for another name",
        "use the name that stands in the certificate; or something in between answers in its place",
    ),
    Failure.CERTIFICATE_UNTRUSTED: (
        "its certificate is signed by nobody whom this machine trusts",
        "a company proxy that opens TLS, or a private authority? Add its CA to a bundle and name that in SSL_CERT_FILE",
    ),
    Failure.TLS: ("no TLS connection could be made", "does it speak plain HTTP on this port? Then write http://"),
    Failure.NOT_HTTP: ("what answers is not HTTP", "check the port, and what listens there"),
    Failure.BROKEN: ("the connection broke", "try again; if it stays so, something in between cuts it"),
}


def explain(failure: Failure) -> tuple[str, str]:
    """What was found, and what to do."""
    return _FAILURES[failure]
