"""What the proxy costs, measured against direct calls in the same run: `python -m tools.bench`.

One scripted upstream, one load client and the gateways live side by side; the gateways take turns in short windows,
so that a slow spell of the machine meets them all. Rig (upstream, client, capture endpoint) on one core, the gateway
under test on another. Every reply is compared byte for byte with what the upstream sent.
"""
