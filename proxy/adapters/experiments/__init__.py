"""Experiments judged: from the kept records, or from PostHog's, to numbers that hold however often one looks.

    moments      what is known of one metric in one variant: six sums over people
    sequential   bounds that hold at all times at once
    judge        sums and limits to findings
    journal      the sums out of the kept records
    posthog      the sums out of PostHog, by HogQL

All of it blocks: it is for the command line and for child processes, never for a worker.
"""
