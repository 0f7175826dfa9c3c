"""What the proxy costs, measured beside nginx and a bare aiohttp pass-through in the same run: `python -m tools.bench`.

The rig, a scripted upstream and a load generator in C, has one core; the gateway under test has another. The gateways
take turns in short windows, measure by measure, so that a slow spell of the machine meets them all. Every reply is
compared byte for byte with what the upstream sent.
"""
