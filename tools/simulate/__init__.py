"""A month of a support product, simulated: people, their tickets, and what came of them by the version they got.

    month      who writes in when, and what would come of it under each version; the same for the same seed
    people     such a month as the records that a judge asks
    promise    many months, looked at each day: how often is the truth found, and how often is one fooled?
    proxy_run  one month through the real proxy, provider and journal included, up to the report

`make simulate` runs all of it.
"""
